"""The book of facts: what may be recorded about claims, and how it is kept.

It knows nothing about truth. `events.contracts` says what may be recorded, `events.leaf` how it is
stored, `events.log` what a log promises, `events.open` opens one by its URL.
"""
