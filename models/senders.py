"""The `senders:` part of `settings.yaml`: one provider for each channel, and where its secrets are kept.

A secret never stands in the file: the settings are part of the plan, and the plan is on a topic.
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.scenario import Written

Rate = Annotated[float, Field(gt=0, le=100_000)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
Domain = Annotated[str, Field(pattern=r"^(\*|[a-z0-9-]+(\.[a-z0-9-]+)+)$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class Secret(Written):
    """Where a secret is: the name of an environment variable, or the path of a file."""

    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_plain_text(cls, value: Any) -> Any:
        if not isinstance(value, dict | Secret):
            raise ValueError("a secret does not stand in the settings: write {env: NAME} or {file: PATH}")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> "Secret":
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret has either `env` (a variable's name) or `file` (a path)")
        return self


class ProviderSpec(Written):
    """What every provider has.

    `rate`: messages a second, over all partitions of one process. `at_once`: calls at the same time.
    """

    rate: Rate | None = None
    at_once: Annotated[int, Field(ge=1, le=1000)] = 16
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 30.0


class DkimSpec(Written):
    """Mail is signed for a domain by the key that its DNS has under the selector (RFC 6376, RSA or Ed25519)."""

    domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")]
    selector: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    key: Secret


class SmtpSpec(ProviderSpec):
    """Where mail goes: smtp://host:port, smtps:// for TLS.

    Without `user` and `password`: PARCOURS_SMTP_USER and PARCOURS_SMTP_PASSWORD of the environment, where they are.
    """

    kind: Literal["smtp"] = "smtp"
    url: Annotated[str, Field(pattern=r"^smtps?://[^\s]+$")] = "smtp://127.0.0.1:25"
    starttls: bool = False
    ca_file: str | None = None
    user: Secret | None = None
    password: Secret | None = None
    dkim: DkimSpec | None = None
    at_once: Annotated[int, Field(ge=1, le=1000)] = 4


class OutboxSpec(ProviderSpec):
    """Each message becomes a file in a folder; nothing leaves the machine."""

    kind: Literal["outbox"]
    folder: str
    at_once: Annotated[int, Field(ge=1, le=1000)] = 1


class SesSpec(ProviderSpec):
    """Amazon SES, API v2."""

    kind: Literal["ses"]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    access_key: Secret
    secret_key: Secret
    session_token: Secret | None = None
    configuration_set: str | None = None
    url: Url | None = None


class SendGridSpec(ProviderSpec):
    """SendGrid, mail send v3."""

    kind: Literal["sendgrid"]
    api_key: Secret
    url: Url = "https://api.sendgrid.com"


class MailgunSpec(ProviderSpec):
    """Mailgun, v3; `url` is https://api.eu.mailgun.net for domains in the EU."""

    kind: Literal["mailgun"]
    domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")]
    api_key: Secret
    url: Url = "https://api.mailgun.net"


class PostmarkSpec(ProviderSpec):
    """Postmark; marketing goes by the broadcast stream, all else by the transactional one."""

    kind: Literal["postmark"]
    token: Secret
    transactional_stream: str = "outbound"
    marketing_stream: str = "broadcast"
    url: Url = "https://api.postmarkapp.com"


class ResendSpec(ProviderSpec):
    """Resend."""

    kind: Literal["resend"]
    api_key: Secret
    url: Url = "https://api.resend.com"


class BrevoSpec(ProviderSpec):
    """Brevo, v3."""

    kind: Literal["brevo"]
    api_key: Secret
    url: Url = "https://api.brevo.com"


EmailProvider = Annotated[
    SmtpSpec | OutboxSpec | SesSpec | SendGridSpec | MailgunSpec | PostmarkSpec | ResendSpec | BrevoSpec,
    Field(discriminator="kind"),
]


class WarmUpSpec(Written):
    """How many mails a new sender sends in a day (UTC), spread over it: `first_day`, then more each day, to `until`."""

    since: date = Field(alias="from")
    first_day: Annotated[int, Field(ge=1)]
    growth_percent: Annotated[int, Field(ge=1, le=1_000)] = 50
    until: Annotated[int, Field(ge=1)]


class EmailSpec(Written):
    """The email sender: `provider`, and without one the relay under `smtp`.

    `domains`: mails a second to a domain of addresses (`*`: to each other one), over the whole store.
    """

    sender: str = Field(default="Store <shop@shop.example>", alias="from")
    reply_to: str | None = None
    unsubscribe_url: str | None = None
    smtp: SmtpSpec = SmtpSpec()
    provider: EmailProvider | None = None
    domains: dict[Domain, Rate] = {}
    warm_up: WarmUpSpec | None = None


class TwilioSpec(ProviderSpec):
    """Twilio, 2010-04-01: from a number or by a messaging service."""

    kind: Literal["twilio"]
    account_sid: Annotated[str, Field(pattern=r"^AC[0-9a-fA-F]{32}$")]
    auth_token: Secret
    sender: str | None = Field(default=None, alias="from")
    messaging_service_sid: Annotated[str, Field(pattern=r"^MG[0-9a-fA-F]{32}$")] | None = None
    url: Url = "https://api.twilio.com"

    @model_validator(mode="after")
    def _one_sender(self) -> "TwilioSpec":
        if (self.sender is None) == (self.messaging_service_sid is None):
            raise ValueError("twilio sends `from` a number or by `messaging_service_sid`: name one of them")
        return self


class VonageSpec(ProviderSpec):
    """Vonage, Messages API v1."""

    kind: Literal["vonage"]
    api_key: Secret
    api_secret: Secret
    sender: str = Field(alias="from")
    url: Url = "https://api.nexmo.com"


class GatewaySpec(ProviderSpec):
    """Any HTTP gateway: a POST of JSON with `to`, `text` and `id`.

    `idempotency_header`: the gateway takes this header as a key, so that an unknown message may be repeated.
    """

    kind: Literal["gateway"]
    url: Url
    token: Secret | None = None
    sender: str | None = Field(default=None, alias="from")
    idempotency_header: HeaderName | None = None


SmsProvider = Annotated[TwilioSpec | VonageSpec | GatewaySpec | OutboxSpec, Field(discriminator="kind")]


class SmsSpec(Written):
    """The SMS sender."""

    provider: SmsProvider


class FcmSpec(ProviderSpec):
    """Firebase Cloud Messaging, HTTP v1; `service_account` is Google's JSON file."""

    service_account: Secret
    url: Url = "https://fcm.googleapis.com"


class ApnsSpec(ProviderSpec):
    """Apple Push Notification service, by token; `topic` is the app's bundle id."""

    team_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{10}$")]
    key_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{10}$")]
    key: Secret
    topic: str
    url: Url = "https://api.push.apple.com"


class WebPushSpec(ProviderSpec):
    """Web Push with VAPID (RFC 8030, 8291, 8292); `contact` is a mailto: or https: address of the store."""

    private_key: Secret
    contact: Annotated[str, Field(pattern=r"^(mailto:|https:)[^\s]+$")]


class PushSpec(Written):
    """The push sender: the address says which of them a message goes by."""

    fcm: FcmSpec | None = None
    apns: ApnsSpec | None = None
    web_push: WebPushSpec | None = None
    outbox: OutboxSpec | None = None


class EndpointSpec(ProviderSpec):
    """One receiver of webhooks.

    `allow_private`: it may lie on a private network; otherwise only public addresses are called.
    """

    url: Url
    secret: Secret
    allow_private: bool = False


class WebhookSpec(Written):
    """The webhook sender: endpoints by the name of a scenario; `default` is for all others."""

    endpoints: dict[str, EndpointSpec]


class WebSpec(ProviderSpec):
    """The inbox that the store's page reads.

    `origins`: the pages that may read it, as a browser names them; without any that of the store's `url`. `at_most`: so
    many messages are kept of one customer, the latest.
    """

    origins: list[Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$", max_length=200)]] = []
    at_most: Annotated[int, Field(ge=1, le=200)] = 50


class SendersSpec(Written):
    """The channel senders."""

    email: EmailSpec = EmailSpec()
    sms: SmsSpec | None = None
    push: PushSpec | None = None
    webhook: WebhookSpec | None = None
    web: WebSpec | None = None
