"""Settings: flags win over BAILIWICK_* variables, and those over `bailiwick.toml` in the data folder.

What belongs to a person or a process (keys, the folder itself) never stands in the folder's file.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from server.data_folder import DataFolder
from server.errors import BadInput

PREFIX: Final = "BAILIWICK_"
_FILE_BYTES: Final = 65_536
NOT_IN_FILE: Final = frozenset({"data", "key", "person", "agent_key", "agent_key_file"})
"""What the data folder's own file cannot say."""


class Settings(BaseSettings):
    """Everything that can be set. docs/settings.md says the same, which a test holds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    data: Path | None = Field(default=None, description="The data folder.")
    key: Path | None = Field(default=None, description="Your personal key file.")
    person: str | None = Field(default=None, description="Whose personal key to use, when you hold several.")
    agent_key: SecretStr | None = Field(default=None, description="The agent key that `stdio` speaks with.")
    agent_key_file: Path | None = Field(default=None, description="A file that holds that agent key.")
    host: str = Field(
        default="127.0.0.1", min_length=1, description="The address that the server listens on."
    )
    port: int = Field(default=8765, ge=0, le=65_535, description="Its port; 0 takes any free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much is written to stderr."
    )
    fetch_private: bool = Field(
        default=False,
        description="Whether `source add` may fetch from addresses that are not on the public internet.",
    )
    semantic: Literal["auto", "off"] = Field(
        default="auto",
        description="Search by meaning too: `auto` does where the extra and its weights are there.",
    )
    semantic_weights: Path | None = Field(
        default=None, description="A folder with the model to search by meaning with."
    )
    tokenizer: Path | None = Field(
        default=None, description="A tokenizer.json to count budgets with; else an estimate."
    )
    ledger_url: str | None = Field(
        default=None,
        description="Another database for the ledger, as an SQLAlchemy URL; else SQLite in the folder.",
    )
    records: Literal["durable", "deferred"] = Field(
        default="durable",
        description="Whether a record of a tool's read or a refusal is on disk before the answer leaves.",
    )
    witness: str | None = Field(
        default=None, description="Who keeps the log's newest head elsewhere: a file, or a witness's URL."
    )
    witness_key: str | None = Field(
        default=None, description="The public key of the witness at that URL, as `witness init` prints it."
    )
    witness_mode: Literal["sync", "async"] = Field(
        default="sync",
        description="Whether a write waits until its head is witnessed, or the witness is told every second.",
    )
    public_url: str | None = Field(
        default=None, description="The URL that clients know the server by, when a proxy stands before it."
    )


def load_settings(folder: DataFolder | None = None, **flags: Any) -> Settings:
    """The settings that hold, from flags (None means: not given), environment and the folder's file.

    `BadInput` names the setting that cannot be used, and where it was said.
    """
    filed = {} if folder is None else _filed(folder)

    class _Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=filed)

    try:
        return _Sourced(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        # The message and not the value: it could be a key.
        raise BadInput(
            f"The setting {name} cannot be used: {first['msg']}; "
            f"mend {_said_where(name, flags, filed, folder)}."
        ) from None


def _said_where(name: str, flags: dict[str, Any], filed: dict[str, Any], folder: DataFolder | None) -> str:
    if flags.get(name) is not None:
        return f"the option --{name.replace('_', '-')}"
    if name in filed and folder is not None:
        return f"{folder.settings_file} or set {PREFIX}{name.upper()}"
    return f"the variable {PREFIX}{name.upper()}"


def _filed(folder: DataFolder) -> dict[str, Any]:
    path = folder.settings_file
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    try:
        if len(raw) > _FILE_BYTES:
            raise ValueError("it is too large")
        said = tomllib.loads(raw.decode())
    except ValueError as error:
        raise BadInput(f"{path} is not TOML: {error}; mend it.") from None
    for name in said:
        if name in NOT_IN_FILE or name not in Settings.model_fields:
            known = ", ".join(sorted(Settings.model_fields.keys() - NOT_IN_FILE))
            raise BadInput(f"{path}: {name} is no setting of this file; it knows {known}.")
    return said
