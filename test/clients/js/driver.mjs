// Drives the AWS SDK for JavaScript: one call a line on standard input, one
// answer a line on standard output. GOLDSMITH_JS is the folder with node_modules.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const sdk = createRequire(process.env.GOLDSMITH_JS + "/")("@aws-sdk/client-imagebuilder");
const client = new sdk.ImagebuilderClient({ maxAttempts: 1 });

// members are the names that the SDK sends of an input; it drops others.
function unknownMember(operation, input) {
  const schema = sdk[operation + "Request$"];
  const members = schema && schema[4];
  return Array.isArray(members) ? Object.keys(input).find((name) => !members.includes(name)) : undefined;
}

async function make({ operation, input, pages }) {
  input ??= {};
  if (operation.startsWith("wait:")) {
    const wait = sdk["waitUntil" + operation.slice("wait:".length)];
    if (!wait) return { lacks: "no waiter " + operation };
    await wait({ client, maxWaitTime: 60, minDelay: 1, maxDelay: 2 }, input);
    return { output: {} };
  }
  if (operation.startsWith("knows:")) {
    return sdk[operation.slice("knows:".length) + "Command"] ? {} : { lacks: "no command for it" };
  }
  const Command = sdk[operation + "Command"];
  if (!Command) return { lacks: "no command " + operation };
  const lacking = unknownMember(operation, input);
  if (lacking) return { lacks: `no member ${lacking} of ${operation}` };
  if (input.updateAt) input.updateAt = new Date(input.updateAt);
  if (pages) {
    const paginate = sdk["paginate" + operation];
    if (!paginate) return { lacks: "no paginator for " + operation };
    const items = [];
    for await (const page of paginate({ client, pageSize: 1 }, input)) items.push(...(page[pages] ?? []));
    return { output: { [pages]: items } };
  }
  const { $metadata, ...output } = await client.send(new Command(input));
  return { output };
}

async function answer(call) {
  try {
    return await make(call);
  } catch (e) {
    if (!(e instanceof sdk.ImagebuilderServiceException)) throw e;
    const known = sdk[e.name] && e instanceof sdk[e.name] && e.constructor === sdk[e.name];
    return { error: { code: e.name, class: known ? e.name : "", message: e.message } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n");
}
