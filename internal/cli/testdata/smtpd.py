# An SMTP server for tests, on Debian's python3-aiosmtpd: STARTTLS and AUTH are required. It
# writes each message to a file of each recipient. Arguments: directory, certificate, key.
# Recipients listed in the file "refuse" of the directory are refused with 452 for now.
import asyncio, os, ssl, sys, itertools
from aiosmtpd.smtp import SMTP, AuthResult

root, cert, key = sys.argv[1:]
numbers = itertools.count()


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        try:
            refused = open(os.path.join(root, "refuse")).read().split()
        except FileNotFoundError:
            refused = []
        if address in refused:
            return "452 4.2.2 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        for address in envelope.rcpt_tos:
            os.makedirs(os.path.join(root, address), exist_ok=True)
            name = os.path.join(root, address, str(next(numbers)))
            with open(name + ".part", "wb") as f:
                f.write(envelope.original_content)
            os.rename(name + ".part", name)
        return "250 2.0.0 stored"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"me" and data.password == b"smtp secret"
    return AuthResult(success=good, handled=good)


SMTP.line_length_limit = 4 << 20


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Handler(), tls_context=context, require_starttls=True, auth_required=True,
                     authenticator=authenticate, enable_SMTPUTF8=True, data_size_limit=0),
        "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
