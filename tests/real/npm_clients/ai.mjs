// The `ai` package and its OpenAI provider ask a server; what they are answered is printed as JSON.
// Its argument says where the servers are, and with which pictures to ask.
import { createOpenAI } from "@ai-sdk/openai";
import { generateImage, generateText, streamText } from "ai";

const { sketch, failing, locked, pictures, mask, words, size } = JSON.parse(process.argv[2]);
const at = (baseURL) => createOpenAI({ baseURL, apiKey: "any" });
const openai = at(sketch);
const model = openai.image("gpt-image-2.5-flare");
const bytes = (one) => Uint8Array.from(Buffer.from(one, "base64"));
const shown = ({ images }) => images.map((one) => one.base64);
const tools = (more = {}) => ({ image_generation: openai.tools.imageGeneration({ size, ...more }) });
const led = openai.responses("gpt-6.1-sol");
const made = ({ toolResults }) => toolResults.map((one) => one.output.result);

const steps = {
  async generate() {
    const quality = { providerOptions: { openai: { quality: "high", outputFormat: "webp" } } };
    const found = await generateImage({ model, prompt: words, size, n: 2, ...quality });
    const kinds = found.images.map((one) => one.mediaType);
    return { pictures: shown(found), kinds, about: found.providerMetadata.openai.images };
  },
  async generate_of_old() {
    return shown(await generateImage({ model: openai.image("dall-e-3"), prompt: words, size }));
  },
  async edit_one() {
    return shown(await generateImage({ model, size, prompt: { text: words, images: [bytes(pictures[0])] } }));
  },
  async edit_four() {
    const images = pictures.slice(0, 4).map(bytes);
    return shown(await generateImage({ model, size, prompt: { text: words, images } }));
  },
  async edit_masked() {
    const prompt = { text: words, images: [bytes(pictures[0])], mask: bytes(mask) };
    return shown(await generateImage({ model, size, prompt }));
  },
  async tool() {
    const found = await generateText({ model: led, prompt: words, tools: tools() });
    const { responseId } = found.providerMetadata.openai;
    const providerOptions = { openai: { previousResponseId: responseId } };
    const next = await generateText({ model: led, prompt: "with a tail", tools: tools(), providerOptions });
    return { first: made(found), next: made(next), reason: found.finishReason };
  },
  async tool_with_a_picture() {
    const content = [
      { type: "text", text: words },
      { type: "file", mediaType: "image/png", data: bytes(pictures[0]) },
    ];
    return made(await generateText({ model: led, tools: tools(), messages: [{ role: "user", content }] }));
  },
  async tool_and_the_conversation_so_far() {
    const said = { role: "user", content: words };
    const first = await generateText({ model: led, tools: tools(), messages: [said] });
    const messages = [said, ...first.response.messages, { role: "user", content: "with a tail" }];
    const next = await generateText({ model: led, tools: tools(), messages });
    return { first: made(first), next: made(next) };
  },
  async tool_stream() {
    const found = streamText({ model: led, prompt: words, tools: tools({ partialImages: 2 }) });
    const parts = [];
    for await (const part of found.fullStream) parts.push(part);
    return parts.map(({ type, output, error }) => ({ type, result: output?.result, error: error && String(error) }));
  },
  bad_request: () => refusal(() => generateImage({ model, prompt: words, size: "0x0" })),
  authentication: () => refusal(() => generateImage({ model: at(locked).image("m"), prompt: words })),
  broken: () => refusal(() => generateImage({ model: at(failing).image("m"), prompt: words, maxRetries: 1 })),
};

async function refusal(ask) {
  try {
    await ask();
  } catch (error) {
    const last = error.lastError ?? error;
    const { statusCode: status, isRetryable, data } = last;
    return { kind: error.name, status, isRetryable, error: data?.error, message: error.message };
  }
  return { kind: "none" };
}

const said = {};
for (const [name, step] of Object.entries(steps)) {
  try {
    said[name] = { said: await step() };
  } catch (error) {
    said[name] = { broke: String(error.stack) };
  }
}
console.log(JSON.stringify(said));
