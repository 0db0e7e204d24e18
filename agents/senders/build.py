"""The provider of a channel, from the settings and from what the command line says instead of them."""

from pathlib import Path

from agents.kafka.control import LIVE, read_plans
from agents.kafka.inbox import InboxWriter
from agents.senders.email_smtp import Smtp
from agents.senders.outbox import Outbox
from agents.senders.providers.apns import Apns
from agents.senders.providers.brevo import Brevo
from agents.senders.providers.fcm import Fcm
from agents.senders.providers.gateway import Gateway
from agents.senders.providers.inbox import Inbox
from agents.senders.providers.mailgun import Mailgun
from agents.senders.providers.postmark import Postmark
from agents.senders.providers.push import Push
from agents.senders.providers.resend import Resend
from agents.senders.providers.sendgrid import SendGrid
from agents.senders.providers.ses import Ses
from agents.senders.providers.twilio import Twilio
from agents.senders.providers.vonage import Vonage
from agents.senders.providers.web_push import WebPush
from agents.senders.providers.webhook import Webhook
from models import senders as specs
from models.senders import SendersSpec
from models.topics import Topics
from pipeline.errors import UsageError
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import PlanSources
from pipeline.sending.outcome import Provider


async def configured(bootstrap: str, topics: Topics, channel: str) -> Provider:
    """Return a channel's provider as the live plan's settings have it; UsageError where no plan is live.

    It holds for as long as the process: a change of the settings needs a restart of the sender.
    """
    plans = await read_plans(bootstrap, topics)
    live = plans.get(plans.get(LIVE, b""))
    if live is None:
        raise UsageError("no plan is live: `parcours apply` one first, or name --smtp or --outbox")
    settings = read_settings(PlanSources.decode(live)).senders
    if channel == "web" and settings.web:
        return await web_inbox(bootstrap, topics)
    return provider_of(channel, settings)


async def web_inbox(bootstrap: str, topics: Topics) -> Provider:
    """Return the provider of `web`; UsageError where the topic `inbox` is not there."""
    writer = InboxWriter(bootstrap, topics)
    await writer.start()
    return Inbox(writer, writer.stop)


def provider_of(channel: str, settings: SendersSpec) -> Provider:
    """Return a channel's provider; UsageError where the settings have none for it, or a secret is not there."""
    match channel:
        case "email":
            return _of(settings.email.provider or settings.email.smtp)
        case "sms" if settings.sms:
            return _of(settings.sms.provider)
        case "push" if settings.push:
            return _push(settings.push)
        case "webhook" if settings.webhook:
            return Webhook(settings.webhook)
    raise UsageError(f"settings.yaml has no provider for {channel}: write one under `senders: {channel}:`")


def _of(spec: specs.ProviderSpec) -> Provider:
    match spec:
        case specs.SmtpSpec():
            return Smtp.of(spec)
        case specs.OutboxSpec():
            return Outbox(Path(spec.folder))
        case specs.SesSpec():
            return Ses(spec)
        case specs.SendGridSpec():
            return SendGrid(spec)
        case specs.MailgunSpec():
            return Mailgun(spec)
        case specs.PostmarkSpec():
            return Postmark(spec)
        case specs.ResendSpec():
            return Resend(spec)
        case specs.BrevoSpec():
            return Brevo(spec)
        case specs.TwilioSpec():
            return Twilio(spec)
        case specs.VonageSpec():
            return Vonage(spec)
        case specs.GatewaySpec():
            return Gateway(spec)
    raise AssertionError(f"no provider for {type(spec).__name__}")


def _push(spec: specs.PushSpec) -> Provider:
    if spec.outbox is not None:
        return Outbox(Path(spec.outbox.folder))
    services: dict[str, Provider] = {}
    if spec.fcm is not None:
        services["fcm"] = Fcm(spec.fcm)
    if spec.apns is not None:
        services["apns"] = Apns(spec.apns)
    if spec.web_push is not None:
        services["web_push"] = WebPush(spec.web_push)
    if not services:
        raise UsageError("senders.push names no service: fcm, apns, web_push or outbox")
    return Push(services)
