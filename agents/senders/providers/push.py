"""Push: the address says by which service a message goes.

| address | service |
|---|---|
| `fcm:TOKEN` | Firebase Cloud Messaging |
| `apns:TOKEN` | Apple Push Notification service |
| `{"endpoint": …, "keys": …}` | Web Push |
| `TOKEN` | Firebase where it is set up, else Apple |
"""

from dataclasses import replace

from pipeline.sending.mime import AddressError
from pipeline.sending.outcome import Message, Outcome, Provider


class Push:
    """Hands each message to the service of its address."""

    name = "push"
    idempotent = False
    key_holds_ms = 0
    needs_address = True

    def __init__(self, services: dict[str, Provider]):
        self._services = services
        self.at_once = sum(one.at_once for one in services.values())
        rates = [one.rate for one in services.values()]
        self.rate = None if None in rates else sum(rate for rate in rates if rate is not None)

    async def send(self, message: Message) -> Outcome:
        """Send by the address's service; AddressError where it is not set up."""
        kind, address = self._kind(message.address or "")
        service = self._services.get(kind)
        if service is None:
            raise AddressError(f"it is of {kind}, which is not set up under senders.push")
        return await service.send(replace(message, address=address))

    def _kind(self, address: str) -> tuple[str, str]:
        if address.startswith("{"):
            return "web_push", address
        kind, colon, token = address.partition(":")
        if colon and kind in {"fcm", "apns"}:
            return kind, token
        return ("fcm" if "fcm" in self._services else "apns"), address

    async def close(self) -> None:
        """Close every service."""
        for one in self._services.values():
            await one.close()
