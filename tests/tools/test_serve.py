"""qkv serve as its users run it: start, clients of every kind, signals."""
import http.client
import random
import re
import socket
import ssl
import threading
import time

from command import *
from command import QKV
from word_model import word_model


class Server:
    def __init__(self, test, *arguments):
        self.process = subprocess.Popen([QKV, "serve", *map(str, arguments), "--port", "0", "--threads", "1"],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=os.environ | {"XDG_DATA_HOME": str(test.folder / "share")})
        test.addCleanup(self.end)
        first = self.process.stdout.readline()
        found = re.search(r":(\d+)$", first.strip())
        if found is None:
            test.fail(first + self.process.stderr.read())
        self.port = int(found[1])
        # Nobody may wait for the log to be read.
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.reader.join()
        self.process.stderr.close()

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def post(self, path, body, headers=()):
        connection = self.connection()
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, data, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content)

    def metric(self, name):
        connection = self.connection()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return float(re.search(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.M)[1])

    def get(self, path, method="GET"):
        connection = self.connection()
        connection.request(method, path)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content)

    def memory(self):
        """Resident kilobytes."""
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1])


class Serve(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = word_model(self.folder / "tiny")

    def test_mistakes(self):
        self.refuse("serve", self.folder / "nowhere", says="nowhere")
        self.refuse("serve", says="model")
        self.refuse("serve", self.model, self.model, says="NAME=PATH")
        self.refuse("serve", f"small={self.model}", "--context", "100000", says=["[small]", "--context asks for 100000"])
        self.refuse("serve", self.model, "--memory", "0.0000001", says="more than there are")
        self.refuse("serve", self.model, "--host", "no.such.host.invalid", says="cannot listen")
        self.refuse("serve", self.model, "--api-key-file", self.folder / "nokeys", says="nokeys")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.refuse("serve", self.model, "--port", taken.getsockname()[1], says=["in use", "--port"])
        (self.model / "model.safetensors").write_bytes(b"damaged")
        self.refuse("serve", self.model, says="model.safetensors")
        encoder = word_model(self.folder / "encoder", "bert_masked_lm_untied")
        (encoder / "model.safetensors").write_bytes(b"damaged")
        self.refuse("serve", encoder, says="model.safetensors")

    def test_a_model_that_is_damaged_later_is_not_the_clients_mistake(self):
        encoder = word_model(self.folder / "encoder", "bert_masked_lm_untied")
        server = Server(self, self.model, encoder)
        body = {"model": "encoder", "input": "w5"}
        self.assertEqual(server.post("/v1/embeddings", body)[0], 200)
        server.end()
        (encoder / "model.safetensors").write_bytes(b"damaged")
        again = Server(self, self.model, encoder)
        status, answer = again.post("/v1/embeddings", body)
        self.assertEqual((status, answer["error"]["param"], answer["error"]["code"]), (500, None, "model_not_loaded"))
        self.assertNotIn(str(self.folder), json.dumps(answer))
        again.end()
        self.assertIn(f"note: encoder cannot be loaded: [{encoder}/model.safetensors]", "".join(again.log))

    def test_keys_from_a_file(self):
        self.write("keys", "one\r\n\r\ntwo  \n")
        server = Server(self, self.model, "--api-key-file", self.folder / "keys")
        for key, status in (("one", 200), ("two", 200), ("tw", 401), ("", 401)):
            self.assertEqual(server.post("/tokenize", {"content": "w5"}, {"Authorization": f"Bearer {key}"})[0], status, key)

    def test_the_log_tells_texts_where_it_is_asked(self):
        for option in ((), ("--log-prompts",)):
            server = Server(self, self.model, *option)
            server.post("/tokenize", {"content": "w5 w6"})
            for _ in range(200):  # the answer is out before it is noted
                if server.log:
                    break
                time.sleep(0.05)
            server.end()
            self.assertEqual("w5 w6" in "".join(server.log), bool(option))

    def test_a_name_is_all_its_addresses(self):
        server = Server(self, self.model, "--host", "localhost")
        for family, _, _, _, address in socket.getaddrinfo("localhost", server.port, type=socket.SOCK_STREAM):
            with socket.socket(family) as alone:
                try:
                    alone.bind((address[0], 0))
                except OSError:
                    continue  # not of this machine
            with socket.socket(family) as client:
                client.settimeout(30)
                client.connect(address)
                client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200"), address)

    def test_answers_and_stops(self):
        server = Server(self, self.model, "--api-key", "k1")
        status, answer = server.post("/v1/completions", {"prompt": "w5", "max_tokens": 3, "ignore_eos": True},
                                     {"Authorization": "Bearer k1"})
        self.assertEqual((status, answer["usage"]["completion_tokens"]), (200, 3))
        self.assertEqual(server.post("/v1/completions", {"prompt": "w5"})[0], 401)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(10), 0)

    def test_conversations_are_kept(self):
        server = Server(self, self.model)
        status, made = server.post("/conversations", {"title": "first"})
        self.assertEqual(status, 201)
        server.post(f"/conversations/{made['id']}/messages", {"role": "user", "content": "hello"})
        server.end()  # killed
        place = self.folder / "share/qkv"
        self.assertEqual(place.stat().st_mode & 0o777, 0o700)
        self.assertEqual((place / "conversations.db").stat().st_mode & 0o777, 0o600)
        again = Server(self, self.model)
        self.assertEqual(again.get(f"/conversations/{made['id']}")[1]["messages"][0]["content"], "hello")
        other = Server(self, self.model, "--data", self.folder / "other")
        self.assertEqual(other.get("/conversations"), (200, {"conversations": []}))
        self.assertEqual(Server(self, self.model, "--data", "none").get("/conversations")[0], 404)

    def test_conversations_that_cannot_be_kept(self):
        self.write("file", "")
        self.refuse("serve", self.model, "--data", self.folder / "file/below", says=["file/below", "--data none"])
        # Nobody chose the usual place: the server serves, and says what is wrong.
        self.write("share", "")
        server = Server(self, self.model)
        self.assertEqual(server.get("/conversations")[0], 404)
        server.end()
        self.assertIn("note: conversations are not kept: [" + str(self.folder / "share/qkv") + "]", server.log[0])

    def test_conversations_on_a_full_disk(self):
        disk = self.folder / "disk"
        SmallDisk(self, disk, "2m")
        server = Server(self, self.model, "--data", disk / "data")
        first = server.post("/conversations", {"title": "first"})[1]["id"]
        for _ in range(1000):
            status, answer = server.post(f"/conversations/{first}/messages", {"role": "user", "content": "x" * 4000})
            if status != 201:
                break
        self.assertEqual((status, answer["error"]["code"]), (507, "not_stored"))
        self.assertIn("free some space", answer["error"]["message"])
        # Reading goes on, and what could not be stored is not there in part.
        self.assertTrue(all(len(m["content"]) == 4000 for m in server.get(f"/conversations/{first}")[1]["messages"]))
        self.assertEqual(server.post("/v1/completions", {"prompt": "w5", "max_tokens": 3})[0], 200)

    def test_deleting_makes_room_on_a_full_disk(self):
        disk = self.folder / "disk"
        SmallDisk(self, disk, "2m")
        server = Server(self, self.model, "--data", disk / "data")
        ids = [server.post("/conversations", {})[1]["id"] for _ in range(2)]
        message = {"role": "user", "content": "x" * 4000}
        stored = 0
        while server.post(f"/conversations/{ids[stored % 2]}/messages", message)[0] == 201:
            stored += 1
        self.assertGreater(stored, 200)  # the log does not fill the disk
        self.assertEqual(server.get(f"/conversations/{ids[0]}", "DELETE"), (200, {"deleted": True, "erased": True}))
        self.assertEqual(server.post(f"/conversations/{ids[1]}/messages", message)[0], 201)

    def certificate(self, name):
        """Paths of a certificate for this machine that nobody vouches for, and of its key."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True)
        return certificate, key

    def test_tls(self):
        certificate, key = self.certificate("a")
        server = Server(self, self.model, "--tls-cert", certificate, "--tls-key", key)
        trusting = ssl.create_default_context(cafile=certificate)

        def connect(context=trusting):
            raw = socket.create_connection(("localhost", server.port), timeout=30)
            self.addCleanup(raw.close)
            client = context.wrap_socket(raw, server_hostname="localhost")
            self.addCleanup(client.close)
            return client

        def request(path, body=None, headers=""):
            content = json.dumps(body).encode() if body else b""
            return (f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
                    f"{headers}\r\n").encode() + content

        stream = request("/v1/completions", {"prompt": "w5", "max_tokens": 40, "stream": True, "ignore_eos": True})
        client = connect()
        # Requests that come together, and one that comes while another is answered.
        client.sendall(request("/health") + stream)
        answers = client.recv(1)
        client.sendall(request("/health", headers="Connection: close\r\n"))
        while piece := client.recv(1 << 16):  # until the server has said that this is all
            answers += piece
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), 3)
        self.assertIn(b"data: [DONE]", answers)
        self.assertTrue(answers.endswith(b'{"status":"ok"}'))

        # Who leaves frees its place.
        leaver = connect()
        leaver.sendall(request("/v1/completions", {"prompt": "w5", "max_tokens": 60, "stream": True, "ignore_eos": True}))
        leaver.recv(10)
        leaver.close()
        for _ in range(200):
            client = connect()
            client.sendall(request("/metrics", headers="Connection: close\r\n"))
            metrics = b""
            while piece := client.recv(1 << 16):
                metrics += piece
            if b"qkv_requests_running{model=\"tiny\"} 0" in metrics:
                break
            time.sleep(0.05)
        else:
            self.fail(metrics)

        # In the clear, and with a certificate that is not believed: no.
        plain = server.connection()
        self.addCleanup(plain.close)
        plain.request("GET", "/health")
        with self.assertRaises((http.client.HTTPException, ConnectionError)):
            plain.getresponse()
        with self.assertRaises(ssl.SSLError):
            connect(ssl.create_default_context())
        older = ssl.create_default_context(cafile=certificate)
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        client = connect(older)
        self.assertEqual(client.version(), "TLSv1.2")
        client.sendall(request("/health"))
        self.assertIn(b"200 OK", client.recv(100))

    def test_tls_files_that_cannot_be_used(self):
        certificate, key = self.certificate("a")
        other = self.certificate("b")[1]
        rubbish = self.write("rubbish", "rubbish")
        locked = self.folder / "locked.key"
        subprocess.run(["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked], check=True,
                       capture_output=True)

        def refuse(chosen, its_key, says):
            self.refuse("serve", self.model, "--tls-cert", chosen, "--tls-key", its_key, says=says)
        self.refuse("serve", self.model, "--tls-cert", certificate, says="--tls-key")
        self.refuse("serve", self.model, "--tls-key", key, says="--tls-cert")
        refuse(self.folder / "none", key, str(self.folder / "none"))
        refuse(rubbish, key, ["rubbish", "TLS", "PEM"])
        refuse(certificate, rubbish, ["rubbish", "TLS", "PEM"])
        refuse(certificate, locked, ["locked.key", "without a password"])
        refuse(certificate, other, ["b.key", "mismatch"])

    def test_a_stream_under_way_ends_before_the_server_does(self):
        server = Server(self, self.model)
        connection = server.connection()
        self.addCleanup(connection.close)
        connection.request("POST", "/v1/completions", json.dumps(
            {"prompt": "w5", "max_tokens": 60, "stream": True, "ignore_eos": True, "n": 8}))
        answer = connection.getresponse()
        first = answer.read(10)
        server.process.send_signal(signal.SIGTERM)
        content = first + answer.read()
        self.assertTrue(content.endswith(b"data: [DONE]\n\n"))
        self.assertEqual(content.count(b'"finish_reason":"length"'), 8)
        self.assertEqual(server.process.wait(10), 0)

    def test_clients_that_leave_cost_nothing(self):
        server = Server(self, self.model, "--max-batch", "4")
        body = json.dumps({"prompt": "w5 w6 w7", "max_tokens": 50, "stream": True, "ignore_eos": True}).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()

        def leave_at_random(count, seed):
            dice = random.Random(seed)
            for _ in range(count):
                with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
                    whole = head + body
                    kind = dice.randrange(4)
                    client.sendall(whole[:dice.randrange(len(whole))] if kind == 0 else whole)
                    if kind >= 2:
                        client.recv(dice.randrange(1, 4000))
                    if kind == 3:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        def round_of(count, seed):
            clients = [threading.Thread(target=leave_at_random, args=(count, seed * 100 + i)) for i in range(8)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            for _ in range(200):
                if server.metric("qkv_requests_running") + server.metric("qkv_requests_waiting") == 0:
                    break
                time.sleep(0.05)
            self.assertEqual(server.metric("qkv_cache_pages_held"), 0)
            self.assertEqual(server.post("/v1/completions", {"prompt": "w5", "max_tokens": 3})[0], 200)

        for seed in range(3):  # until every thread has had its share
            round_of(60, seed)
        before = server.memory()
        round_of(60, 3)
        after = server.memory()
        if not os.environ.get("QKV_SANITIZE"):
            self.assertLess(after, before * 1.05 + 1024, "kilobytes")
        self.assertGreater(server.metric("qkv_requests_cancelled_total"), 0)

    def test_idle_connections_are_cheap(self):
        server = Server(self, self.model)
        server.post("/v1/completions", {"prompt": "w5", "max_tokens": 3})
        before = server.memory()
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1000)]
        for client in idle:
            self.addCleanup(client.close)
        for client in idle:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for client in idle:
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200"))
        if not os.environ.get("QKV_SANITIZE"):
            self.assertLess(server.memory() - before, 50 * 1024, "kilobytes")

    def test_random_bodies_are_never_our_mistake(self):
        server = Server(self, self.model)
        dice = random.Random(1)
        values = [None, True, -1, 0, 1, 3.5, 1e300, "", "w5", "\u0000", [], ["w5"], [5, 6], [[5]], {}, {"a": 1}, [None], "x" * 5000,
                  [{"role": "user", "content": "w5"}], {"type": "json_object"}, {"type": "regex", "pattern": "(("},
                  {"type": "json_schema", "json_schema": {"schema": {"type": "integer"}}}]
        fields = ["prompt", "max_tokens", "n", "stop", "logprobs", "echo", "seed", "logit_bias", "top_p", "temperature",
                  "stream_options", "model", "input", "content", "tokens", "question", "context", "top_k", "best_of", "other",
                  "messages", "tools", "tool_choice", "response_format", "position", "layer", "continuation"]
        paths = ["/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/classify", "/v1/fill", "/v1/answer", "/v1/translate", "/attention", "/tokenize",
                 "/detokenize"]
        for _ in range(400):
            body = {dice.choice(fields): dice.choice(values) for _ in range(dice.randrange(5))}
            path = dice.choice(paths)
            status, answer = server.post(path, body)
            self.assertIn(status // 100, (2, 4), f"{path} {body}: {answer}")
            if status >= 400:
                self.assertIsInstance(answer["error"]["message"], str)
        for body in (b"", b"{", b"\xff\xfe", b"[" * 100000, b'{"a":' * 10000, b"null"):
            self.assertEqual(server.post("/v1/completions", body)[0], 400)


if __name__ == "__main__":
    unittest.main()
