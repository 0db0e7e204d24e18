"""Amazon SES, API v2: the whole mail as it is.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
"""

import base64
from datetime import UTC, datetime

import httpx
import orjson

from agents.senders.providers.http import HttpProvider, by_status, json_of, post, text_of
from agents.senders.providers.mail import address_of, handed_back, sender_of
from agents.senders.providers.sigv4 import Credentials, signed_headers
from agents.senders.secrets import read_secret
from models.senders import SesSpec
from pipeline.sending.mime import to_mime
from pipeline.sending.outcome import Message, Outcome

PATH = "/v2/email/outbound-emails"
# Of the account or its set-up, not of this message.
ACCOUNT = frozenset(
    {
        "AccountSuspendedException",
        "LimitExceededException",
        "MailFromDomainNotVerifiedException",
        "NotFoundException",
        "SendingPausedException",
        "TooManyRequestsException",
    }
)


class Ses(HttpProvider):
    """Takes no idempotency key."""

    name = "ses"

    def __init__(self, spec: SesSpec, client: httpx.AsyncClient | None = None):
        super().__init__(spec, client)
        self._spec = spec
        self._url = httpx.URL((spec.url or f"https://email.{spec.region}.amazonaws.com") + PATH)
        token = spec.session_token
        self._credentials = Credentials(
            read_secret(spec.access_key, "ses.access_key"),
            read_secret(spec.secret_key, "ses.secret_key"),
            read_secret(token, "ses.session_token") if token else None,
        )

    async def request(self, message: Message) -> httpx.Request:
        """Return a SendEmail of the raw mail."""
        body = {
            "FromEmailAddress": message.sender,
            "Destination": {"ToAddresses": [address_of(message)]},
            "Content": {"Raw": {"Data": base64.b64encode(to_mime(message)).decode()}},
            "EmailTags": [{"Name": name, "Value": text} for name, text in handed_back(message).items()],
        }
        sender_of(message)
        if self._spec.configuration_set:
            body["ConfigurationSetName"] = self._spec.configuration_set
        content = orjson.dumps(body)
        headers = signed_headers(
            self._credentials,
            host=self._url.netloc.decode(),
            path=PATH,
            region=self._spec.region,
            service="ses",
            content=content,
            at=datetime.now(UTC),
            more={"content-type": "application/json"},
        )
        return post(str(self._url), content, headers)

    def id_of(self, response: httpx.Response) -> str:
        """Return SES's message id."""
        return text_of(response, "MessageId")

    def read(self, response: httpx.Response, message: Message) -> Outcome:
        """Tell what is the account's trouble from what is the message's."""
        kind = response.headers.get("x-amzn-errortype", "").partition(":")[0]
        said = f"{kind}: {text_of(response, 'message') or json_of(response).get('Message', '')}"
        if kind in ACCOUNT:
            later = by_status(response, said)
            return Outcome("retry", f"{response.status_code} {said}"[:200], after_s=later.after_s, trouble=True)
        if response.is_success:
            return super().read(response, message)
        return by_status(response, said)
