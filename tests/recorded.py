"""Which recordings hold an exchange of OpenAI's image APIs, and what each of them came to."""

from __future__ import annotations

from imagekit import AuthenticationError, InvalidRequestError, NoImageError

RIG = "0xPlaygrounds__rig/openai_"
RUBY = "crmne__ruby_llm/"
LOCAL = f"{RUBY}image_edit_functionality_with_local_files_"
REMOTE = f"{RUBY}image_edit_functionality_with_remote_urls_"
PAI = "pydantic__pydantic-ai/test_openai_"
AZURE = "Azure__azure-sdk-assets/"
OPENLLMETRY = "traceloop__openllmetry/test_image_gen_metrics__2026-03-31.yaml"

# Every recorded exchange of the Images API, OpenAI's and Azure's: the file, which of its exchanges,
# and the error it must become (None is "pictures").
IMAGES: list[tuple[str, int, type[Exception] | None]] = [
    (f"{RIG}additional_params_invalid_background_is_rejected.yaml", 0, InvalidRequestError),
    (f"{RIG}additional_params_invalid_output_format_is_rejected.yaml", 0, InvalidRequestError),
    (f"{RIG}additional_params_invalid_quality_is_rejected.yaml", 0, InvalidRequestError),
    (f"{RIG}additional_params_output_format_reaches_the_api.yaml", 0, None),
    (f"{RIG}additional_params_override_model.yaml", 0, InvalidRequestError),
    (f"{RIG}additional_params_override_prompt.yaml", 0, InvalidRequestError),
    (f"{RIG}additional_params_override_size.yaml", 0, InvalidRequestError),
    (f"{RIG}additional_params_quality_reaches_the_api.yaml", 0, None),
    (f"{RIG}allowlisted_model_still_generates.yaml", 0, None),
    (f"{RIG}caller_can_reinstate_response_format.yaml", 0, InvalidRequestError),
    (f"{RIG}chatgpt_image_latest_reaches_its_own_validation.yaml", 0, InvalidRequestError),
    (f"{RIG}completions_client_shares_the_fixed_body.yaml", 0, None),
    (f"{RIG}non_object_additional_params_are_a_no_op.yaml", 0, InvalidRequestError),
    (
        f"{RIG}response_format_is_rejected_before_the_model_is_looked_at.yaml",
        0,
        InvalidRequestError,
    ),
    (f"{RIG}retired_model_reaches_model_validation.yaml", 0, InvalidRequestError),
    (f"{RIG}unlisted_dated_snapshot_reaches_its_own_validation.yaml", 0, InvalidRequestError),
    (f"{RIG}unlisted_model_generates_without_response_format.yaml", 0, None),
    (f"{AZURE}BadKeyGivesHelpfulError__2024-12-05.json", 0, AuthenticationError),
    (f"{AZURE}CanGetContentFilterResults__2024-12-05.json", 0, None),
    (f"{AZURE}GptImage1Works__2025-04-25.json", 0, None),
    ("Significant-Gravitas__Auto-GPT-test-cassettes/test_dalle_256__2024-03-22.yaml", 0, None),
    ("alexrudall__ruby-openai/images_edit_multiple__2025-08-10.yml", 0, None),
    (
        "alexrudall__ruby-openai/images_generate_A_springer_spaniel_cooking_pasta_wearing_a_hat_of"
        "_some_sort__2024-01-19.yml",
        0,
        None,
    ),
    ("alexrudall__ruby-openai/images_variations_image_png__2023-11-14.yml", 0, None),
    (f"{RUBY}customizes_image_output__2025-05-05.yml", 0, None),
    (
        f"{RUBY}image_basic_functionality_openai_gpt-image-1_can_paint_images__2026-08-19.yml",
        0,
        None,
    ),
    (
        f"{RUBY}image_edit_functionality_with_flexible_sizes_gpt-image-2_accepts_a_16px-multiple"
        "_size_on_edits__2026-08-13.yml",
        0,
        None,
    ),
    (f"{LOCAL}customizes_image_output__2025-09-10.yml", 0, None),
    (f"{LOCAL}rejects_edits_with_a_non-png_local_file__2025-09-10.yml", 0, InvalidRequestError),
    (f"{LOCAL}supports_image_edits_with_a_valid_local_png__2025-09-10.yml", 0, None),
    (
        f"{REMOTE}rejects_edits_with_a_url_having_invalid_content_type__2026-08-11.yml",
        0,
        InvalidRequestError,
    ),
    (f"{REMOTE}rejects_edits_with_a_url_that_returns_404__2026-08-11.yml", 0, InvalidRequestError),
    (
        f"{RUBY}rejects_edits_with_a_URL_having_invalid_content_type__2025-04-28.yml",
        1,
        InvalidRequestError,
    ),
    (f"{RUBY}rejects_edits_with_a_non-PNG_local_file__2025-04-28.yml", 0, InvalidRequestError),
    (f"{PAI}gpt_image_2_generation_vcr__2026-07-21.yaml", 0, None),
    (f"{PAI}image_edit_vcr__2026-07-21.yaml", 0, None),
    (OPENLLMETRY, 0, None),
    (OPENLLMETRY, 1, InvalidRequestError),
    (OPENLLMETRY, 2, InvalidRequestError),
    (OPENLLMETRY, 3, None),
    (OPENLLMETRY, 4, None),
    ("vercel__ai/gpt-image-response-format-error__2026-07-23.json", 0, InvalidRequestError),
]

# The same for the Responses API. Two of them end without a picture, each for its own reason.
RESPONSES: list[tuple[str, int, type[Exception] | None]] = [
    (f"{PAI}responses_image_generation_jpeg__2025-10-01.yaml", 0, None),
    (f"{PAI}responses_image_generation_tool_without_image_output__2026-02-02.yaml", 0, None),
    (f"{PAI}responses_image_generation_tool_without_image_output__2026-02-02.yaml", 1, None),
    # The model called a function first, and drew only in its second turn.
    (f"{PAI}responses_image_generation_with_tools__2025-10-01.yaml", 0, NoImageError),
    (f"{PAI}responses_image_generation_with_tools__2025-10-01.yaml", 1, None),
    ("vercel__ai/openai-image-generation-tool.1__2025-09-16.json", 0, None),
]

STREAMS = [
    "vercel__ai/azure-image-generation-tool.1.chunks__2026-03-16.txt",
    "vercel__ai/openai-image-generation-tool.1.chunks__2025-09-16.txt",
]

# Not replayed, and why; what can be said of them is said beside.
LEFT_OUT = {
    f"{AZURE}test_agent_image_generation__2025-12-05__EXCERPT.json.txt": "typed in, body cut off",
    f"{PAI}responses_image_generation_store_false__2026-09-29__EXCERPT.txt": "typed in, cut off",
    "Azure__azure-sdk-for-net/CanGenerateImages_Azure__2023-06-22__EXCERPT.txt": (
        "typed in; an operation of 2023 that Azure retired"
    ),
    "issues/error-bodies-and-behaviour-from-issues.md": "quoted; see test_refusals.py",
}

# Pictures that the recording lost: a stand-in is replayed, and everything else is asserted.
CUT = {
    f"{LOCAL}customizes_image_output__2025-09-10.yml",
    f"{LOCAL}supports_image_edits_with_a_valid_local_png__2025-09-10.yml",
    f"{PAI}responses_image_generation_tool_without_image_output__2026-02-02.yaml",
    "vercel__ai/openai-image-generation-tool.1__2025-09-16.json",
    "vercel__ai/openai-image-generation-tool.1.chunks__2025-09-16.txt",
}
