"""A web framework in a hundred lines, in the manner of Flask: routes by decorators, templates, sessions, logging. It
serves requests to itself on loopback and ends. Only the standard library is used.

Profile it with:  %prof !python3 samples/APP.py
"""

import hashlib
import html
import http.client
import json
import logging
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

log = logging.getLogger("app")


class Template:
    """`{{ name }}` inserts a value, `{% for x in xs %} … {% end %}` repeats."""

    TOKEN = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})", re.DOTALL)

    def __init__(self, text):
        self.nodes, _ = self.parse(self.TOKEN.split(text), 0)

    def parse(self, tokens, at):
        nodes = []
        while at < len(tokens):
            token = tokens[at]
            at += 1
            if token.startswith("{{"):
                nodes.append(("value", token[2:-2].strip()))
            elif token.startswith("{%"):
                words = token[2:-2].split()
                if words[0] == "end":
                    return nodes, at
                inner, at = self.parse(tokens, at)
                nodes.append(("for", words[1], words[3], inner))
            elif token:
                nodes.append(("text", token))
        return nodes, at

    def render(self, **names):
        return "".join(self.parts(self.nodes, names))

    def parts(self, nodes, names):
        for node in nodes:
            if node[0] == "text":
                yield node[1]
            elif node[0] == "value":
                yield html.escape(str(names[node[1]]))
            else:
                for item in names[node[2]]:
                    yield from self.parts(node[3], {**names, node[1]: item})


class App:
    def __init__(self):
        self.routes = []

    def route(self, pattern):
        """`/word/<name>` calls the function with `name`."""
        regex = re.compile("^" + re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", pattern) + "$")

        def register(function):
            self.routes.append((regex, function))
            return function

        return register

    def dispatch(self, path):
        for regex, function in self.routes:
            found = regex.match(path)
            if found:
                return 200, function(**found.groupdict())
        return 404, "not found"


app = App()
PAGE = Template("<h1>{{ title }}</h1><ul>{% for word in words %}<li>{{ word }}</li>{% end %}</ul>")


def factorise(n):
    factors, divisor = [], 2
    while divisor * divisor <= n:
        while n % divisor == 0:
            factors.append(divisor)
            n //= divisor
        divisor += 1
    return factors + [n] if n > 1 else factors


@app.route("/factors/<number>")
def factors(number):
    return PAGE.render(title=f"Factors of {number}", words=factorise(int(number)))


@app.route("/tokens/<count>")
def tokens(count):
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(int(count))]
    return json.dumps({"tokens": digests[:10], "count": len(digests)})


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = app.dispatch(self.path)
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, form, *values):
        log.info(form, *values)


def ask(port, path, answers):
    client = http.client.HTTPConnection("127.0.0.1", port)
    client.request("GET", path)
    answer = client.getresponse()
    answers.append((answer.status, len(answer.read())))
    client.close()


def main():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    answers = []
    for path in ["/factors/1000036000099", "/tokens/20000", "/nothing"]:
        asker = threading.Thread(target=ask, args=(server.server_port, path, answers))
        asker.start()
        # The server works in the thread that is profiled.
        server.handle_request()
        asker.join()
    server.server_close()
    print(answers)


if __name__ == "__main__":
    main()
