"""Operations: every act of a person, the same whether a server owns the data folder or not.

An operation is asked for with a person's signature, admitted by the gate, written down, and then done. One
file for each group; `server.operations.registry` holds them all.
"""
