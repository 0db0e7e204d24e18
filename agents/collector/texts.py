"""What the collector's pages say, in English and French."""

from collections.abc import Mapping

CHANNELS = ("email", "sms", "push", "web")
ENGLISH: Mapping[str, str] = {
    "lang": "en",
    "unsubscribe": "Unsubscribe",
    "unsubscribe_ask": "Stop all marketing messages from {store} by {channel}?",
    "unsubscribe_note": "Messages about your orders still come.",
    "unsubscribe_button": "Yes, unsubscribe me",
    "unsubscribed": "You are unsubscribed",
    "unsubscribed_note": "No more marketing messages by {channel}. One that is already on its way may still arrive.",
    "other": "Change what you get instead",
    "preferences": "Your messages",
    "preferences_ask": "Which marketing messages may {store} send you?",
    "yes": "Yes",
    "no": "No",
    "keep": "As it is",
    "pause": "Pause",
    "pause_keep": "No change",
    "pause_month": "Nothing for 30 days",
    "pause_end": "End the pause",
    "paused_until": "Paused until {day}.",
    "save": "Save",
    "saved": "Saved. It takes effect within seconds.",
    "gone": "This link is not valid",
    "gone_note": "Open it again from the message, whole.",
    "email": "email",
    "sms": "text message",
    "push": "push message",
    "web": "messages on the site",
    "help": "{store}: reply STOP to end these messages. {url}",
}
FRENCH: Mapping[str, str] = {
    "lang": "fr",
    "unsubscribe": "Se désabonner",
    "unsubscribe_ask": "Ne plus recevoir aucun message publicitaire de {store} par {channel}\u202f?",
    "unsubscribe_note": "Les messages sur vos commandes arriveront toujours.",
    "unsubscribe_button": "Oui, me désabonner",
    "unsubscribed": "Vous êtes désabonné",
    "unsubscribed_note": "Plus de messages publicitaires par {channel}. Un message déjà parti peut encore arriver.",
    "other": "Choisir plutôt ce que vous recevez",
    "preferences": "Vos messages",
    "preferences_ask": "Quels messages publicitaires {store} peut-il vous envoyer\u202f?",
    "yes": "Oui",
    "no": "Non",
    "keep": "Sans changement",
    "pause": "Pause",
    "pause_keep": "Sans changement",
    "pause_month": "Rien pendant 30 jours",
    "pause_end": "Finir la pause",
    "paused_until": "En pause jusqu'au {day}.",
    "save": "Enregistrer",
    "saved": "C'est enregistré, et pris en compte en quelques secondes.",
    "gone": "Ce lien n'est pas valable",
    "gone_note": "Ouvrez-le de nouveau depuis le message, en entier.",
    "email": "courriel",
    "sms": "SMS",
    "push": "notification",
    "web": "messages sur le site",
    "help": "{store} : répondez STOP pour ne plus recevoir ces messages. {url}",
}


def texts(language: str) -> Mapping[str, str]:
    """Return the texts of a language, English where there are none."""
    return FRENCH if language == "fr" else ENGLISH
