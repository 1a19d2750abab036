"""The rows of the views: what the log's facts come to, laid out for the questions that are asked.

claims          how each claim stands, with its wording
changes         every change of a status, with what it rested on
names           whom and what a claim's local numbers mean
source_claims   on which side of which claim a source stands, and how often
contradictions  which claims say of another one that both can't stand
alike           which sources of a claim have names that look alike
publications    where a claim was used, and whether that still stands
sources         who is talked about
stories         what gathers claims
views           how far each set of tables is, and which of them is served

Everything here can be computed again from the log, so it may be deleted while no process has it open. No row holds a
sentence: labels and explanations are rendered when read. Statements have no table: they are read from
the claim's own stream, where each event carries the names it needs.

The same tables and statements serve SQLite and PostgreSQL. Texts compare by their code points on both, and what
both call an upsert is written alike; only placeholders and indexes differ.

A set of tables is a *generation*. A rebuild fills the next one beside the one that is served.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Any, ClassVar, Final, Literal

from sqlalchemy import BigInteger, Index, LargeBinary, MetaData, Table, Text, UpdateBase, bindparam
from sqlalchemy import delete as delete_from
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import AutoString, Field, SQLModel

SHAPE: Final = 3
"""Which tables and columns there are. Tables of another shape can't be read, so they are made anew."""

CONTENT: Final = 3
"""What the columns hold. Tables of another content are served until the new ones have caught up."""

BLOCK: Final = 50
"""How many local numbers stand in one row of names: few rows for most claims, short ones for the largest."""

GENERATIONS: Final = 4
"""For how many generations a statement is kept ready: to put one together costs more than to carry it out."""

VERSION: Final = f"{SHAPE}.{CONTENT}"
"""The version of the views that this code writes."""


class View(SQLModel, table=True):
    """One generation: the log it follows, its checkpoint, and whether it is the one that is served."""

    __tablename__: ClassVar[str] = "views"
    generation: int = Field(primary_key=True)
    version: str
    log: str
    position: int = Field(sa_type=BigInteger)
    recorded_at: str | None
    active: bool


class ClaimRow(SQLModel, table=True):
    """How a claim stands. `public` and `computed` are canonical JSON from leaves; `text`, `text_key`, `place`
    and `note` are its present wording, null where it was erased. `position` is that of its last event."""

    __tablename__: ClassVar[str] = "claims"
    id: str = Field(primary_key=True)
    registered_at: int = Field(sa_type=BigInteger)
    position: int = Field(sa_type=BigInteger)
    recorded_at: str
    story: str | None
    status: str
    attention: str
    language: str
    policy: str
    text: str | None
    text_key: str | None
    place: str | None
    note: str | None
    erased: str
    public: bytes = Field(sa_type=LargeBinary)
    computed: bytes = Field(sa_type=LargeBinary)


class ChangeRow(SQLModel, table=True):
    """One change of one claim: from which status to which, what caused it, and the whole assessment."""

    __tablename__: ClassVar[str] = "changes"
    position: int = Field(primary_key=True, sa_type=BigInteger)
    claim: str = Field(primary_key=True)
    story: str | None
    recorded_at: str
    previous: str
    status: str
    cause: str
    cause_type: str
    recall: bool
    computed: bytes = Field(sa_type=LargeBinary)


class NamesRow(SQLModel, table=True):
    """Whom (`party`) or which (`origin`) some of a claim's local numbers mean, unless that was erased: `names`
    is JSON, by number `[id, name]`, for the `BLOCK` numbers that begin at `block * BLOCK`."""

    __tablename__: ClassVar[str] = "names"
    claim: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    block: int = Field(primary_key=True)
    names: bytes = Field(sa_type=LargeBinary)


class SourceClaimRow(SQLModel, table=True):
    """How many statements of a source there are on one side of a claim (support, denial, carried, note or
    accused), and the name that the claim has for it; by its `last_word` others like it are found."""

    __tablename__: ClassVar[str] = "source_claims"
    source: str = Field(primary_key=True)
    claim: str = Field(primary_key=True)
    side: str = Field(primary_key=True)
    statements: int
    name: str
    last_word: str


class ContradictionRow(SQLModel, table=True):
    """How many links of a claim say that it contradicts another; none where they were all taken back."""

    __tablename__: ClassVar[str] = "contradictions"
    claim: str = Field(primary_key=True)
    other: str = Field(primary_key=True)
    links: int


class AlikeRow(SQLModel, table=True):
    """Two sources of a claim whose names there look alike, by their ids in order."""

    __tablename__: ClassVar[str] = "alike"
    claim: str = Field(primary_key=True)
    one: str = Field(primary_key=True)
    other: str = Field(primary_key=True)


class PublicationRow(SQLModel, table=True):
    """Where a claim was used: the event that says so, its position, and what had been `seen` of the claim; `live`
    until it was taken down or put right."""

    __tablename__: ClassVar[str] = "publications"
    claim: str = Field(primary_key=True)
    event: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    seen: int = Field(sa_type=BigInteger)
    live: bool


class SourceRow(SQLModel, table=True):
    """A source that the log mentions. Only a registered one has a name here: the others are named in
    `source_claims`, so that erasing those leaves nothing behind."""

    __tablename__: ClassVar[str] = "sources"
    id: str = Field(primary_key=True)
    registered: bool
    kind: str
    protected: bool
    same_as: str | None
    name: str | None
    last_word: str | None
    role: str | None
    aliases: str


class StoryRow(SQLModel, table=True):
    """A story; its title is null where it was erased."""

    __tablename__: ClassVar[str] = "stories"
    id: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    title: str | None


_INDEXES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "claims": (
        ("registered_at", "attention"),  # counts and finds reasons without a look at the rows
        ("story", "text_key"),
        ("status", "registered_at"),
        ("position", "status"),
    ),
    "changes": (("claim", "position"),),
    "names": (),
    "source_claims": (("last_word", "source", "name"),),  # by claim it is only searched when a text is erased
    "contradictions": (("other",),),
    "alike": (),
    "publications": (("live",),),
    "sources": (("same_as",), ("last_word",)),
    "stories": (("position",),),
}

_LONG: Final = ("text_key", "name")
"""Columns that may be longer than a B-tree of PostgreSQL takes."""

_DIALECTS: Final[dict[str, tuple[Any, Any]]] = {
    "sqlite": (sqlite.insert, sqlite.dialect(paramstyle="named")),
    "postgresql": (postgresql.insert, postgresql.dialect(paramstyle="pyformat")),  # type: ignore[no-untyped-call]
}
"""How a dialect begins an upsert, and what compiles it."""

Dialect = Literal["sqlite", "postgresql"]
"""Which database the tables are in."""

views: Final[Table] = SQLModel.metadata.tables["views"]


class TableSet:
    """The tables of one generation, and the statements that write them."""

    def __init__(self, generation: int, dialect: Dialect = "sqlite") -> None:
        self.generation = generation
        self.dialect: Dialect = dialect
        self._insert, self._compiled_for = _DIALECTS[dialect]
        self.metadata = MetaData()
        self.claims = self._table("claims")
        self.changes = self._table("changes")
        self.names = self._table("names")
        self.source_claims = self._table("source_claims")
        self.contradictions = self._table("contradictions")
        self.alike = self._table("alike")
        self.publications = self._table("publications")
        self.sources = self._table("sources")
        self.stories = self._table("stories")
        self.upserts: dict[str, str] = {
            "claims": self._sql(self._upsert(self.claims)),
            "changes": self._sql(self._upsert(self.changes)),
            "names": self._sql(self._upsert(self.names)),
            "source_claims": self._sql(self._upsert(self.source_claims)),
            "contradictions": self._sql(self._upsert(self.contradictions)),
            "alike": self._sql(self._insert(self.alike).on_conflict_do_nothing()),
            "publications": self._sql(self._upsert(self.publications)),
            "sources": self._sql(self._upsert_source()),
            "mentions": self._sql(self._insert(self.sources).on_conflict_do_nothing()),
            "stories": self._sql(self._upsert(self.stories, keep=("position",))),
        }
        self.forget: tuple[UpdateBase, ...] = tuple(
            delete_from(table).where(table.c.claim == bindparam("of_claim"))
            for table in (self.names, self.source_claims, self.alike)
        )

    def _table(self, name: str) -> Table:
        table = SQLModel.metadata.tables[name].to_metadata(self.metadata, name=f"{name}_{self.generation}")
        table.dialect_options["sqlite"]["with_rowid"] = name in ("claims", "changes")  # large rows want a rowid
        if self.dialect == "postgresql":
            for column in table.columns:
                if isinstance(column.type, AutoString):
                    column.type = Text(collation="C")
        for columns in _INDEXES[name]:
            self._index(table, columns)
        return table

    def _index(self, table: Table, columns: tuple[str, ...]) -> None:
        if self.dialect == "postgresql":
            if "text_key" in columns:
                Index(f"{table.name}_text_key", table.c.text_key, postgresql_using="hash")
            columns = tuple(takewhile(lambda name: name not in _LONG, columns))
        Index(f"{table.name}_{'_'.join(columns)}", *(table.c[column] for column in columns))

    def _sql(self, statement: Any) -> str:
        """Compile a statement once, for rows whose values are what the driver takes: that saves what Core does to
        each value of each row."""
        return str(statement.compile(dialect=self._compiled_for))

    def _upsert(self, table: Table, *, keep: Iterable[str] = ()) -> Any:
        statement = self._insert(table)
        keys = [column.name for column in table.primary_key]
        return statement.on_conflict_do_update(
            index_elements=keys, set_=_replaced(table, statement, keep=(*keys, *keep))
        )

    def _upsert_source(self) -> Any:
        # A source is protected for ever once it was registered so.
        statement = self._insert(self.sources)
        return statement.on_conflict_do_update(
            index_elements=["id"],
            set_={
                **_replaced(self.sources, statement, keep=("id",)),
                "protected": self.sources.c.protected.op("OR")(statement.excluded.protected),
            },
        )


def _replaced(table: Table, statement: Any, *, keep: Iterable[str]) -> dict[str, Any]:
    return {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keep}
