"""The seed document's own requests, word for word.

They are run by curl in a shell, where there is one; elsewhere the same words are read as curl
reads them. Two things are put in: the key, and the comma that the seed's delete lacks.
"""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import subprocess
from urllib.parse import urlsplit

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import KEY

LIST = """\
curl --location 'https://api.bytez.com/model/list' \\
--header 'Content-Type: application/json' \\
--data '{
    "key": `API_KEY`
}'"""

LOAD = """\
curl --location 'https://api.bytez.com/model/load' \\
--header 'Content-Type: application/json' \\
--data '{
    "key": `API_KEY`,
    "modelId": "openai-community/gpt2",
    "concurrency": 1
}'"""

STATUS = """\
curl --location 'https://api.bytez.com/model/status' \\
--header 'Content-Type: application/json' \\
--data '{
    "key": `API_KEY`,
    "modelId": "openai-community/gpt2"
}'"""

RUN = """\
curl --location 'https://api.bytez.com/model/run' \\
--header 'Content-Type: application/json' \\
--data '{
    "key": `API_KEY`,
    "app": false,
    "modelId": "openai-community/gpt2",
    "text": "Once upon a time there was a",
    "params": {
        "min_length": 30,
        "max_length": 256
    },
    "stream": true
}'"""

INSTANCES = """\
curl --location 'https://api.bytez.com/model/instances' \\
--header 'Content-Type: application/json' \\
--data '{
    "key": `API_KEY`
}'"""

DELETE = """\
curl --location 'https://api.bytez.com/model/delete' \\
--header 'Content-Type: application/json' \\
--data '{
    "key": `API_KEY`
    "modelId": "openai-community/gpt2"
}'"""


def answer(emulator: Emulator, command: str) -> str:
    """Run a command of the seed's against the emulator, and return what it prints."""
    command = command.replace("https://api.bytez.com", emulator.url)
    command = command.replace("`API_KEY`", f'"{KEY}"')
    shell = shutil.which("sh")
    if shell is None or shutil.which("curl") is None:
        return _read_as_curl_does(command)
    done = subprocess.run(
        [shell, "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        timeout=20,
        check=True,
    )
    return done.stdout


def _read_as_curl_does(command: str) -> str:
    _curl, _location, url, _header, header, _data, data = shlex.split(command)
    name, _, value = header.partition(": ")
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    # curl's --data posts, and takes the line ends out only of files.
    connection.request("POST", urlsplit(url).path, data.encode(), {name: value})
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_the_seed_s_requests_get_the_seed_s_answers(bytez_emulator: Emulator) -> None:
    assert answer(bytez_emulator, LIST).startswith(
        '[{"name":"EleutherAI/gpt-neo-2.7B","requiredRAM":2.23,"benchmarked":true},'
        '{"name":"Gustavosta/MagicPrompt-Stable-Diffusion","requiredRAM":0.94,"benchmarked":true},'
        '{"name":"Gustavosta/MagicPrompt-Stable-Diffusion.onnx.8-bit","requiredRAM":null,'
        '"benchmarked":false},'
    )
    assert answer(bytez_emulator, LOAD) == (
        '{"modelId":"openai-community/gpt2","status":"started","concurrency":1}'
    )
    bytez_emulator.advance(403)
    status = (
        '{"modelId":"openai-community/gpt2","status":"RUNNING","concurrency":1,"inferences":0,'
        '"expirationPeriodSeconds":1800,"expirationPeriodMinutes":30,'
        '"expiresAt":"2024-05-28T00:12:18.863Z","created":"2024-05-27T23:35:35.863Z",'
        '"modified":"2024-05-27T23:42:18.863Z"}'
    )
    assert answer(bytez_emulator, STATUS) == status
    assert answer(bytez_emulator, INSTANCES) == f"[{status}]"
    text = answer(bytez_emulator, RUN)
    assert text.startswith("Once upon a time there was a ")
    assert len(text.split()) > 256
    mended = DELETE.replace("`API_KEY`\n", "`API_KEY`,\n")
    assert answer(bytez_emulator, mended) == (
        '{"modelId":"openai-community/gpt2","status":"stopped"}'
    )
    assert answer(bytez_emulator, INSTANCES) == "[]"


def test_the_delete_as_printed_is_not_json(bytez_emulator: Emulator) -> None:
    bytez_emulator.load_by_somebody_else("openai-community/gpt2")
    assert answer(bytez_emulator, DELETE) == '{"error":"the body is not valid JSON"}'
    assert len(bytez_emulator.instances()) == 1


def test_without_curl_the_same_words_are_sent(bytez_emulator: Emulator) -> None:
    command = LOAD.replace("https://api.bytez.com", bytez_emulator.url)
    assert _read_as_curl_does(command.replace("`API_KEY`", f'"{KEY}"')) == (
        '{"modelId":"openai-community/gpt2","status":"started","concurrency":1}'
    )
