// Asks for everything once, at the address that is given in place of the service's own, and prints
// what came of it.
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const axios = require("axios");
const StabilityAI = require("stability-ai").default;

const asked = JSON.parse(process.argv[2]);
axios.interceptors.request.use((config) => {
  config.url = config.url.replace("https://api.stability.ai", asked.here);
  return config;
});
const { generate, edit } = new StabilityAI("a-key").v2beta.stableImage;
const said = { negativePrompt: "people", seed: 11, outputFormat: "png" };
const shaped = { ...said, aspectRatio: "16:9" };
const words = asked.words;

const wishes = {
  ultra: () => generate.ultra(words, shaped),
  core: () => generate.core(words, shaped),
  sd3: () => generate.sd3(words, { ...shaped, model: "sd3.5-large", mode: "text-to-image" }),
  "image-to-image": () =>
    generate.sd3(words, {
      ...said,
      model: "sd3.5-large",
      mode: "image-to-image",
      image: asked.picture,
      strength: 0.4,
    }),
  inpaint: () => edit.inpaint(asked.picture, words, { ...said, mask: asked.mask }),
  erase: () => edit.erase(asked.picture, { mask: asked.mask, seed: 11, outputFormat: "png" }),
  outpaint: () => edit.outpaint(asked.picture, { prompt: words, left: 64, down: 32, seed: 11 }),
  "search-and-replace": () => edit.searchAndReplace(asked.picture, words, "a dog", said),
  "remove-background": () => edit.removeBackground(asked.picture, { outputFormat: "webp" }),
};

const found = {};
for (const [name, wish] of Object.entries(wishes)) {
  try {
    const answer = await wish();
    found[name] = { seed: answer.seed, filtered: answer.finishReason ?? answer.contentFiltered };
  } catch (error) {
    found[name] = { error: String(error) };
  }
}
console.log(JSON.stringify(found));
