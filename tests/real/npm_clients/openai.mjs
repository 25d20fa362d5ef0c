// The official client for JavaScript asks a server; what it is answered is printed as JSON.
// Its argument says where the servers are, and with which pictures to ask.
import OpenAI, { toFile } from "openai";

const { sketch, toy, locked, named, failing, pictures, mask, words, size } = JSON.parse(process.argv[2]);
const at = (baseURL, more = {}) => new OpenAI({ baseURL, apiKey: "any", ...more });
const client = at(sketch);
const slow = at(toy);
const tool = { type: "image_generation", size };
const file = (data, name = "a.png") => toFile(Buffer.from(data, "base64"), name, { type: "image/png" });
const files = (count) => Promise.all(pictures.slice(0, count).map((one, place) => file(one, `${place}.png`)));
const shown = (answer) => answer.data.map((one) => one.b64_json);
const made = (response) => response.output.map((one) => one.result);
const sleep = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

async function all(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}

const steps = {
  async generate() {
    const { data, response, request_id } = await client.images
      .generate({ model: "gpt-image-2.5-flare", prompt: words, size, n: 2, quality: "high" })
      .withResponse();
    const notices = JSON.parse(response.headers.get("x-imagekit-notices"));
    return { pictures: shown(data), size: data.size, id: request_id, notices };
  },
  async edit_one() {
    return shown(await client.images.edit({ image: (await files(1))[0], prompt: words, size }));
  },
  async edit_four() {
    return shown(await client.images.edit({ image: await files(4), prompt: words, size }));
  },
  async edit_sixteen() {
    return shown(await client.images.edit({ image: await files(16), prompt: words, size }));
  },
  async edit_masked() {
    const [image] = await files(1);
    return shown(await client.images.edit({ image, mask: await file(mask), prompt: words, size }));
  },
  async variation() {
    const answer = await client.images.createVariation({ image: (await files(1))[0] });
    const fetched = await fetch(answer.data[0].url);
    return Buffer.from(await fetched.arrayBuffer()).toString("base64");
  },
  async image_stream() {
    return all(client.images.generate({ prompt: words, size, stream: true, partial_images: 2 }));
  },
  async edit_stream() {
    const [image] = await files(1);
    return all(client.images.edit({ image, prompt: words, size, stream: true, partial_images: 1 }));
  },
  async response() {
    const response = await client.responses.create({ model: "gpt-6.1-sol", input: words, tools: [tool] });
    const again = await client.responses.retrieve(response.id);
    return { response, again };
  },
  async response_stream() {
    const tools = [{ ...tool, partial_images: 2 }];
    return all(client.responses.create({ input: words, tools, stream: true }));
  },
  async account_of_a_stream() {
    const stream = client.responses.stream({ input: words, tools: [tool] });
    return made(await stream.finalResponse());
  },
  async conversation() {
    const first = await client.responses.create({ input: words, tools: [tool] });
    const said = { input: "with a tail", tools: [tool] };
    const by_id = await client.responses.create({ ...said, previous_response_id: first.id });
    const input = [
      { role: "user", content: words },
      ...first.output,
      { role: "user", content: "with a tail" },
    ];
    const by_items = await client.responses.create({ ...said, input });
    return { first: made(first), by_id: made(by_id), by_items: made(by_items) };
  },
  async background() {
    const first = await client.responses.create({ input: words, tools: [tool], background: true });
    let found = first;
    while (["queued", "in_progress"].includes(found.status)) {
      await sleep(20);
      found = await client.responses.retrieve(first.id);
    }
    return { began: first.status, status: found.status, pictures: made(found) };
  },
  async background_stream() {
    const tools = [{ ...tool, partial_images: 2 }];
    const whole = await all(
      client.responses.create({ input: words, tools, stream: true, background: true }),
    );
    const { id } = whole[0].response;
    const rest = await all(client.responses.retrieve(id, { stream: true, starting_after: 4 }));
    return { whole, rest };
  },
  async cancel() {
    const first = await slow.responses.create({ input: words, tools: [tool], background: true });
    const ended = await slow.responses.cancel(first.id);
    const after = await slow.responses.retrieve(first.id);
    await slow.responses.delete(first.id);
    const gone = await refusal(() => slow.responses.retrieve(first.id));
    return { ended: ended.status, after: after.status, gone };
  },
  async files() {
    const one = await client.files.create({ file: await file(pictures[0]), purpose: "vision" });
    const content = [
      { type: "input_text", text: words },
      { type: "input_image", file_id: one.id, detail: "auto" },
    ];
    const input = [{ role: "user", content }];
    const response = await client.responses.create({ input, tools: [tool] });
    const body = { images: [{ file_id: one.id }], prompt: words, size };
    const edited = await client.post("/images/edits", { body });
    const listed = [];
    for await (const each of client.files.list()) listed.push(each.id);
    const kept = Buffer.from(await (await client.files.content(one.id)).arrayBuffer());
    const { deleted } = await client.files.delete(one.id);
    const gone = await refusal(() => client.files.retrieve(one.id));
    const about = { name: one.filename, bytes: one.bytes, listed: listed.includes(one.id) };
    return { ...about, kept: kept.toString("base64"), deleted, gone, by_id: made(response), edited: shown(edited) };
  },
  async models() {
    const listed = [];
    for await (const each of client.models.list()) listed.push(each.id);
    return { listed, one: await client.models.retrieve("sketch-1") };
  },
  bad_request: () => refusal(() => client.images.generate({ prompt: words, n: 11 })),
  authentication: () => refusal(() => at(locked).images.generate({ prompt: words })),
  not_found: () => refusal(() => at(named).images.generate({ prompt: words, model: "other" })),
  no_response: () => refusal(() => client.responses.retrieve("resp_0")),
  async rate_limit() {
    const held = await slow.responses.create({ input: words, tools: [tool], background: true });
    const wrong = await refusal(() => at(toy, { maxRetries: 0 }).images.generate({ prompt: words }));
    await slow.responses.cancel(held.id);
    return wrong;
  },
  broken: () => refusal(() => at(failing).images.generate({ prompt: words })),
};

async function refusal(ask) {
  try {
    await ask();
  } catch (error) {
    const { status, code, param, type, requestID } = error;
    return { kind: error.constructor.name, status, code, param, type, id: requestID };
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
