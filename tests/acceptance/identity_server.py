"""Run as a program by Canaille's environment: a provider of OpenID Connect on loopback.

It reads one line of JSON from its input: `port`, `client_id`, `client_secret`, `redirect_uri` and
`people`, each with `name`, `password` and `groups`. Each start makes new keys.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback needs no TLS

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server


def main(setup: dict[str, Any]) -> None:
    """Serve until it is ended."""
    key = RSAKey.generate_key(2048, auto_kid=True)
    application = create_app(
        config={
            "ENV_FILE": None,
            "SECRET_KEY": os.urandom(16).hex(),
            "PREFERRED_URL_SCHEME": "http",
            "SERVER_NAME": f"localhost:{setup['port']}",
            "CANAILLE": {
                "DATABASE": "memory",
                "HTMX": False,  # it breaks the provider's own rules for styles
                "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}},
            },
            "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
        }
    )
    with application.app_context():
        _fill(setup)
    server = make_server("localhost", setup["port"], application, threaded=True)
    print("serving", flush=True)  # noqa: T201
    server.serve_forever()


def _fill(setup: dict[str, Any]) -> None:
    groups: dict[str, list[Any]] = {}
    for person in setup["people"]:
        user = models.User(
            user_name=person["name"],
            formatted_name=person["name"].title(),
            family_name=person["name"].title(),
            emails=[f"{person['name']}@example.org"],
            password=person["password"],
        )
        Backend.instance.save(user)
        for name in person["groups"]:
            groups.setdefault(name, []).append(user)
    for name, members in groups.items():
        Backend.instance.save(models.Group(display_name=name, members=members))
    client = models.Client(
        client_id=setup["client_id"],
        client_secret=setup["client_secret"],
        client_name="Blemish",
        redirect_uris=[setup["redirect_uri"]],
        grant_types=["authorization_code"],
        response_types=["code"],
        id_token_signed_response_alg="RS256",  # what clients get that ask for nothing else
        scope=["openid", "profile", "email", "groups"],
        token_endpoint_auth_method="client_secret_basic",
    )
    Backend.instance.save(client)
    client.audience = [client]
    Backend.instance.save(client)


if __name__ == "__main__":
    main(json.loads(sys.stdin.readline()))
