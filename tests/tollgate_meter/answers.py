"""What providers answer, in their own words, with the usage that the tests count."""

from typing import Any

# 1,000 in, 300 of them cached; 80 out, 30 of them reasoned: 700 + 300 in, 50 + 30 out.
CHAT_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 80,
    "total_tokens": 1080,
    "prompt_tokens_details": {"cached_tokens": 300, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 30},
}
CHAT_POOLS = {"input_tokens": 700, "cache_read_tokens": 300, "output_tokens": 50, "reasoning_tokens": 30}


def chat(usage: Any = CHAT_USAGE, model: str = "gpt-5.1") -> dict[str, Any]:
    """OpenAI's whole answer, and Mistral's."""
    message = {"role": "assistant", "content": "Good morning to you"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    reply: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
    }
    return reply if usage is None else {**reply, "usage": usage}


def chat_chunk(text: str | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of OpenAI's stream, and of Mistral's."""
    delta = {} if text is None else {"role": "assistant", "content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-5.1",
        "choices": choices,
        **more,
    }


CHAT_LAST: dict[str, Any] = {**chat_chunk(None), "choices": [], "usage": CHAT_USAGE}
CHAT_STREAM = (
    chat_chunk("Good ", usage=None),
    chat_chunk("morning", usage=None),
    chat_chunk(None, "stop", usage=None),
    CHAT_LAST,
    b"data: [DONE]\n\n",
)

# 500 in, 100 of them cached and 50 written; 40 out, 10 of them reasoned: 350 + 100 + 50 in, 30 + 10 out.
RESPONSES_USAGE = {
    "input_tokens": 500,
    "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 50},
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 10},
    "total_tokens": 540,
}
RESPONSES_POOLS = {
    "input_tokens": 350,
    "cache_read_tokens": 100,
    "cache_write_tokens": 50,
    "output_tokens": 30,
    "reasoning_tokens": 10,
}


def response(usage: Any = RESPONSES_USAGE, status: str = "completed") -> dict[str, Any]:
    """OpenAI's response object."""
    text = {"type": "output_text", "text": "Good morning", "annotations": []}
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-5.1",
        "output": [message] if status == "completed" else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


def text_delta(number: int, text: str) -> dict[str, Any]:
    """One piece of text in the stream of a response."""
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    return {"type": "response.output_text.delta", "sequence_number": number, "delta": text, **where}


RESPONSES_STREAM = (
    {"type": "response.created", "sequence_number": 0, "response": response(None, "in_progress")},
    text_delta(1, "Good "),
    text_delta(2, "morning"),
    {"type": "response.completed", "sequence_number": 3, "response": response()},
)

# 200 in outside of the cache, 1,000 read, 400 written; 60 out, 20 of them thought: 40 + 20 out.
MESSAGES_USAGE = {
    "input_tokens": 200,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 400,
    "output_tokens": 60,
    "output_tokens_details": {"thinking_tokens": 20},
}
MESSAGES_POOLS = {
    "input_tokens": 200,
    "cache_read_tokens": 1000,
    "cache_write_tokens": 400,
    "output_tokens": 40,
    "reasoning_tokens": 20,
}


def message(usage: Any = MESSAGES_USAGE) -> dict[str, Any]:
    """Anthropic's whole answer."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-example",
        "content": [{"type": "text", "text": "Good morning"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


_START_USAGE = {
    "input_tokens": 200,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 400,
    "output_tokens": 1,
}
# The usage of the deltas is cumulative: the last one counts, and what it leaves out stays as the start said it.
MESSAGES_STREAM = (
    {"type": "message_start", "message": {**message(_START_USAGE), "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Good morning"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 25}},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 60, "output_tokens_details": {"thinking_tokens": 20}},
    },
    {"type": "message_stop"},
)

# 900 in, 400 of them cached, and 100 of a tool; 70 out and 30 thoughts beside them: 500 + 100 + 400 in, 70 + 30 out.
GENERATE_USAGE = {
    "promptTokenCount": 900,
    "cachedContentTokenCount": 400,
    "toolUsePromptTokenCount": 100,
    "candidatesTokenCount": 70,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 1100,
}
GENERATE_POOLS = {"input_tokens": 600, "cache_read_tokens": 400, "output_tokens": 70, "reasoning_tokens": 30}


def candidates(text: str, usage: Any, finish: str | None = "STOP") -> dict[str, Any]:
    """Gemini's answer, whole or a chunk of it."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    reply = {"candidates": [candidate], "modelVersion": "gemini-2.5-pro"}
    return reply if usage is None else {**reply, "usageMetadata": usage}


# The metadata is repeated in every chunk and grows.
GENERATE_STREAM = (
    candidates("Good ", {**GENERATE_USAGE, "candidatesTokenCount": 2, "thoughtsTokenCount": 30}, None),
    candidates("morning", {**GENERATE_USAGE, "candidatesTokenCount": 4}, None),
    candidates("", GENERATE_USAGE),
)
