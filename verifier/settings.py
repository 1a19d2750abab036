"""What can be set, where from, and what it means: flag, then environment, then `verifier.toml`, then default."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Final, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from verifier.errors import Invalid
from verifier.logs import Format, Level

FILE: Final = "verifier.toml"
"""The file that is read, in the current directory, where there is one."""

READY_LAG: Final = 30.0
"""By how many seconds the views of a server that is ready may lag."""

HOURLY: Final = 3_600.0
"""Every how many seconds the statuses are attested."""

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
"""The names by which a server is reached from its own machine."""


def default_actor() -> str:
    """Return who writes where nobody has signed in: `VERIFIER_ACTOR`, or the login name."""
    try:
        return os.environ.get("VERIFIER_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "somebody"


def state_folder() -> Path:
    """Return where this user's programs keep what must outlive them (`XDG_STATE_HOME`), for us."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path("~/.local/state").expanduser()) / "verifier"


class Settings(BaseSettings):
    """The settings of a server and of the command line. Made by `load`."""

    model_config = SettingsConfigDict(env_prefix="VERIFIER_", toml_file=FILE, extra="forbid", frozen=True)

    log: Annotated[str, Field(min_length=1)] = Field(
        default="sqlite:///newsroom.db",
        description="The log to serve, as a URL. Views and evidence are kept beside it.",
    )
    host: str = Field(
        default="127.0.0.1", description="The address to listen at; only loopback, until there are tokens."
    )
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=8750, description="The port to listen at; 0 takes a free one."
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=LOOPBACK,
        description="The host names that the server answers to, divided by commas; any other is refused.",
    )
    actor: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        default_factory=default_actor,
        description="Who is recorded as the writer, unauthenticated. Left out: the login name.",
    )
    ready_lag: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        default=READY_LAG,
        description="By how many seconds the views may lag behind the log while `/readyz` still says ready.",
    )
    attest_every: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=HOURLY,
        description="Every how many seconds the statuses are attested while the head moves; 0: never by itself.",
    )
    keys: Path = Field(
        default_factory=lambda: state_folder() / "keys",
        description="The folder with the keys that sign checkpoints, a file for each log; `verifier init` makes them.",
    )
    seals: Path = Field(
        default_factory=lambda: state_folder() / "seals",
        description="The second place, in which the last checkpoint of each log stands, outside the log's own folder."
        " Whoever may seal a log must reach the same one.",
    )
    seal_key: SecretStr | None = Field(
        default=None,
        description="The key itself, in place of a file; several are divided by spaces. Never shown.",
    )
    witnesses: Path | None = Field(
        default=None,
        description="A policy file (C2SP tlog-policy): the witnesses in it that have a URL are asked to cosign every"
        " checkpoint.",
    )
    log_level: Level = Field(default="info", description="How much is logged: debug, info, warning or error.")
    log_format: Format = Field(
        default="console", description="How logs are written: console for people, json for machines."
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, flags: Mapping[str, Any] | None = None) -> Self:
        """Read the settings; a flag that is `None` was not given.

        Raises `Invalid` for a value that is none, naming the setting and where it stands.
        """
        given = {name: value for name, value in (flags or {}).items() if value is not None}
        try:
            origins = _origins(cls, given)
            settings = cls(**given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0])
            raise Invalid(_sentence(name, first["type"], first["msg"], origins), field=name) from error
        except TOMLDecodeError as error:
            raise Invalid(f"{FILE} is not TOML: {error}; mend it") from error
        settings._origins = origins
        return settings

    def origin(self, name: str) -> str:
        """Say where the value of a setting comes from: `flag`, an environment variable, the file, or `default`."""
        return self._origins.get(name, "default")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, the strongest first."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("hosts", mode="before")
    @classmethod
    def _divide(cls, hosts: object) -> object:
        return tuple(name.strip() for name in hosts.split(",") if name.strip()) if isinstance(hosts, str) else hosts


def _origins(cls: type[BaseSettings], flags: Mapping[str, Any]) -> dict[str, str]:
    in_file = dict.fromkeys(TomlConfigSettingsSource(cls)(), FILE)
    in_environment = {name: f"VERIFIER_{name.upper()}" for name in EnvSettingsSource(cls)()}
    return {**in_file, **in_environment, **dict.fromkeys(flags, "flag")}


def _sentence(name: str, kind: str, message: str, origins: Mapping[str, str]) -> str:
    if kind == "extra_forbidden":
        where = origins.get(name, FILE)
        return f"there is no setting {name}: remove it from {where} (`verifier config` lists them all)"
    return f"the setting {name} ({origins.get(name, 'default')}) can't be that: {message[0].lower()}{message[1:]}"
