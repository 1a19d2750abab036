"""Webhooks: every change of a status goes out to whoever asked for it, signed, at least once, in order per claim.

`endpoint`  where changes go, and which of them.
`signing`   secrets, signatures and the ids of messages (Standard Webhooks).
`backoff`   what an answer means, and when a message is tried again.
`queue`     what waits for one endpoint: which message is next.
`outbox`    what is kept of all this: endpoints, secrets, how far each is, what waits and what was given up.
`tables`    its tables.
`message`   what is sent, rendered when it is sent.
`posting`   one attempt.
`courier`   what serves one endpoint: queues, sends, settles.
`sender`    the follower: a courier for each endpoint, in one process at a time.
`clock`     the time by which all of this goes.
`office`    what an operator asks for: add, list, remove, rotate, replay.
`opening`   where the outbox of a log is, by its URL.

The first four are pure.
"""
