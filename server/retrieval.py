"""How the library searches and counts here: from the settings to the open store, and to words for people."""

from __future__ import annotations

import logging
from pathlib import Path

from context_store.channels import Channel, search_channels
from context_store.meaning import Meaning
from context_store.store import KnowledgeStore
from context_store.tokens import tokenizer_counter
from context_store.weights import SentenceModel, Weights, find_weights
from server.settings import Settings

logger = logging.getLogger(__name__)


def equip(store: KnowledgeStore, settings: Settings) -> None:
    """Give an open store its model and its counter of tokens.

    Raises a `StoreError` with a sentence when the settings name something that cannot be used.
    """
    found = weights_of(settings)
    if isinstance(found, Weights):
        store.meaning = Meaning(SentenceModel(found))
    if settings.tokenizer is not None:
        store.counter = tokenizer_counter(Path(settings.tokenizer))


def log_channels(store: KnowledgeStore, settings: Settings) -> None:
    """Say in a server's log what it searches and counts with."""
    for channel in channels_of(settings):
        logger.info(
            "%s search is %s: %s", channel.name, "used" if channel.used else "not used", channel.reason
        )
    logger.info("tokens are counted by %s", store.counter.name)


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """The ways of searching, as these settings have them."""
    return search_channels(weights_of(settings))


def weights_of(settings: Settings) -> Weights | str:
    """The weights to search by meaning with; or why that is not in use."""
    if settings.semantic == "off":
        return "the setting `semantic` is off"
    return find_weights(settings.semantic_weights)
