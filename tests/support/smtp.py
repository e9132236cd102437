"""A real SMTP server for the tests: STARTTLS, moods, every message as a line of JSON.

    smtp.py PORT OUT CERT KEY MOOD

MOOD: well | plain (no STARTTLS offered) | later N (451 to the first N) | never (550) | silent
"""
import json, ssl, sys, socket, time
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

port, out, cert, key, mood, *rest = sys.argv[1:]
left = int(rest[0]) if rest else 0


class Handler:
    async def handle_DATA(self, server, session, envelope):
        global left
        tls = session.ssl is not None
        if mood == "never":
            return "550 no such desk"
        if left > 0:
            left -= 1
            return "451 greylisted, come back"
        with open(out, "a") as f:
            f.write(json.dumps({"to": envelope.rcpt_tos, "tls": tls, "text": envelope.content.decode()}) + "\n")
        return "250 taken"


class Server(Controller):
    def factory(self):
        context = None
        if mood != "plain":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
        return SMTP(self.handler, tls_context=context, require_starttls=mood != "plain", hostname="localhost")


if mood == "silent":
    s = socket.create_server(("127.0.0.1", int(port)))
    print("up", flush=True)
    held = []
    while True:
        held.append(s.accept())
Server(Handler(), hostname="127.0.0.1", port=int(port)).start()
print("up", flush=True)
while True:
    time.sleep(60)
