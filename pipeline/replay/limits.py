"""The busiest hour of each channel against what its provider takes in an hour, from the rates in the settings."""

from typing import Any

from models.senders import ProviderSpec, SendersSpec

HOUR_S, MINUTE_S = 3_600, 60


def hourly_limits(senders: SendersSpec) -> dict[str, int]:
    """Return how many messages one sender process of a channel may send in an hour, where a rate is given."""
    providers: dict[str, list[ProviderSpec]] = {"email": [senders.email.provider or senders.email.smtp]}
    if senders.sms is not None:
        providers["sms"] = [senders.sms.provider]
    if senders.push is not None:
        services = (senders.push.fcm, senders.push.apns, senders.push.web_push, senders.push.outbox)
        providers["push"] = [one for one in services if one is not None]
    if senders.webhook is not None:
        providers["webhook"] = list(senders.webhook.endpoints.values())
    found = {}
    for channel, services_of in providers.items():
        rates = [one.rate for one in services_of]
        if rates and None not in rates:
            # As the sender does: several services or endpoints share the messages.
            found[channel] = int(sum(rate for rate in rates if rate is not None) * HOUR_S)
    return found


def against_limits(busiest: dict[str, dict[str, Any]], senders: SendersSpec) -> dict[str, dict[str, Any]]:
    """Return the busiest hours with `limit` (messages an hour) and `minutes`: how long that rate takes for them."""
    limits = hourly_limits(senders)
    return {channel: {**hour, **_against(hour["messages"], limits.get(channel))} for channel, hour in busiest.items()}


def _against(messages: int, limit: int | None) -> dict[str, Any]:
    if not limit:
        return {"limit": None}
    return {"limit": limit, "minutes": -(-messages * MINUTE_S // limit)}
