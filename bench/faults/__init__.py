"""Faults injected into a log on PostgreSQL and its views, each where it hurts: before a commit, and after it.

`fault`   what a fault is: its kind and its side.
`ledger`  what was asked of a log and what was answered; and what must then be in it: the oracle.
`gates`   holding a commit in a real server just before it, or between it and its answer.
`trial`   a log with its writers, its subscriber and its ledger, that faults are tried on.
`log`     the faults of the log.
`writer`  a process that writes until it is killed.
`disk`    files that can't grow.
`office`  two servers over one log, as processes of their own.
`views`   the faults of the views.

    python -m bench.faults                   200 faults
    python -m bench.faults --faults 500 --seed 7
"""
