"""The client: one API for a server and for a log in this process.

    Verifier ── verbs ── batch    what can be recorded, one by one or many at once
        │  └─── reads             what can be asked ── listing: page by page; feed: following, by position; watch: both
        ▼
      port ◀── http               a server ── lanes: connections; retry: what is tried again; stream: the feeds
        ▲
        └───── verifier.embedded  a log in this process

`connection` opens and closes; `wire` holds the forms of commands and problems between client and server.
Nothing of the server is imported.
"""

from __future__ import annotations

from verifier.client.batch import Item
from verifier.client.feed import Feed
from verifier.client.port import Message, Port
from verifier.client.verifier import Verifier
from verifier.client.watch import Watch

__all__ = ["Feed", "Item", "Message", "Port", "Verifier", "Watch"]
