"""The conformance tests, for both of OpenAI's APIs and for each host that has a row."""

from __future__ import annotations

from typing import ClassVar

import hosts

from imagekit.testing import ProviderSuite
from imagekit_openai import images, responses
from imagekit_openai.rows import localai, openrouter, sd_server, sglang, together, vllm_omni, xai
from imagekit_openai.testing import ImagesHost, ResponsesHost


class TestOpenAIImages(ProviderSuite):
    plugin = images
    provider = "openai-images"
    host = ImagesHost
    samples: ClassVar = {"svg": {"model": "gpt-6.1-sol"}}


class TestOpenAIResponses(ProviderSuite):
    plugin = responses
    provider = "openai-responses"
    host = ResponsesHost
    samples: ClassVar = {"svg": {"model": "gpt-6.1-sol"}}


class TestLocalAI(ProviderSuite):
    plugin = localai
    provider = "localai"
    host = hosts.LocalAI
    model = "flux.1-schnell"


class TestVllmOmni(ProviderSuite):
    plugin = vllm_omni
    provider = "vllm-omni"
    host = hosts.VllmOmni
    model = "flux.1-schnell"
    samples: ClassVar = {"extra_params": {"cfg": 2}}


class TestSGLang(ProviderSuite):
    plugin = sglang
    provider = "sglang"
    host = hosts.SGLang
    model = "flux.1-schnell"


class TestSdServer(ProviderSuite):
    plugin = sd_server
    provider = "sd-server"
    host = hosts.SdServer


class TestTogether(ProviderSuite):
    plugin = together
    provider = "together"
    host = hosts.Together
    model = "black-forest-labs/FLUX.1-schnell"


class TestXai(ProviderSuite):
    plugin = xai
    provider = "xai"
    host = hosts.Xai
    samples: ClassVar = {"storage_options": {"public_url": True}}


class TestOpenRouter(ProviderSuite):
    plugin = openrouter
    provider = "openrouter"
    host = hosts.OpenRouter
    model = "bytedance-seed/seedream-4.5"
    samples: ClassVar = {"provider": {"only": ["a"]}, "trace": {"trace_id": "t"}}
