"""Providers' webhooks: each checks who speaks, and says what was heard. One without its secret is not there at all."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.routing import Route

from agents.collector.hub import Hub
from agents.collector.webhooks import brevo, mailgun, postmark, resend, sendgrid, ses, twilio, vonage
from agents.collector.webhooks.base import Listener, webhook
from pipeline.errors import UsageError

# The name in the address, the variable with the secret, and what makes the webhook of it.
PROVIDERS: Mapping[str, tuple[str, Callable[[str], Listener]]] = {
    "ses": ("PARCOURS_SES_TOPIC", ses.listener),
    "sendgrid": ("PARCOURS_SENDGRID_KEY", sendgrid.listener),
    "mailgun": ("PARCOURS_MAILGUN_KEY", mailgun.listener),
    "postmark": ("PARCOURS_POSTMARK_LOGIN", postmark.listener),
    "resend": ("PARCOURS_RESEND_SECRET", resend.listener),
    "brevo": ("PARCOURS_BREVO_TOKEN", brevo.listener),
    "vonage": ("PARCOURS_VONAGE_SECRET", vonage.listener),
    "twilio": ("PARCOURS_TWILIO_TOKEN", twilio.listener),
}


def secret_of(name: str) -> str:
    """Return a secret of the environment, or of the file that NAME_FILE says; empty where there is none."""
    path = os.environ.get(f"{name}_FILE", "")
    if name in os.environ or not path:
        return os.environ.get(name, "").strip()
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise UsageError(f"{name}_FILE: {path} cannot be read ({error.strerror})") from None


def routes_from_environment(hub: Hub) -> list[Route]:
    """Return the routes of the providers whose secrets the environment has."""
    found = []
    for name, (variable, listener) in PROVIDERS.items():
        secret = secret_of(variable)
        if secret:
            found.append(webhook(hub, name, listener(secret)))
    return found
