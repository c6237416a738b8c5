// From the playground's form to a Chat Completions request. What is wrong is said at its field; nothing is sent then.
const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

export class Problems {
  constructor(root) {
    this.root = root;
    this.count = 0;
    for (const place of root.querySelectorAll("[data-error]:not([hidden])")) place.hidden = true;
    for (const field of root.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  }

  // `scope` is what holds the field's place for errors; the first one is shown and gets the focus.
  add(name, text, field, scope = this.root) {
    const place = scope.querySelector(`[data-error="${name}"]`);
    place.textContent = text;
    place.hidden = false;
    if (field) {
      field.setAttribute("aria-invalid", "true");
      for (let part = field.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
      if (!this.count) field.focus();
    }
    this.count += 1;
  }
}

function parsed(text, problems, name, field, scope) {
  try {
    return JSON.parse(text);
  } catch (error) {
    problems.add(name, `This is no JSON: ${error.message}`, field, scope);
    return undefined;
  }
}

function toolProblem(tools) {
  if (!Array.isArray(tools)) return "tools: it must be a list, in [ ].";
  for (const [place, tool] of tools.entries()) {
    const at = `tools[${place}]`;
    if (!isObject(tool)) return `${at}: it must be an object.`;
    if (typeof tool.type !== "string") return `${at}.type: it must be there, such as "function".`;
    if (tool.type !== "function") continue;
    if (!isObject(tool.function)) return `${at}.function: it must be an object with a name.`;
    const { name, description, parameters } = tool.function;
    if (typeof name !== "string" || !NAME.test(name)) return `${at}.function.name: 1 to 64 letters, digits, _ . or -`;
    if (description !== undefined && typeof description !== "string") return `${at}.function.description: it must be text.`;
    if (parameters !== undefined && !isObject(parameters)) return `${at}.function.parameters: it must be a JSON schema, an object.`;
    if (tools.findIndex((one) => one?.function?.name === name) < place) return `${at}.function.name: ${name} is there twice.`;
  }
  return "";
}

function readMessage(row, problems) {
  const [role, text, more] = ["role", "text", "more"].map((name) => row.querySelector(`[name=${name}]`));
  const message = { role: role.value, content: text.value };
  if (more.value.trim()) {
    const rest = parsed(more.value, problems, "message", more, row);
    if (rest === undefined) return message;
    if (!isObject(rest)) problems.add("message", "Other fields: they must be an object, in { }.", more, row);
    else if ("content" in rest && text.value) problems.add("message", "There is text, and content in the other fields: empty one of them.", more, row);
    else Object.assign(message, rest, { role: role.value });
  }
  if (message.content === "" && Array.isArray(message.tool_calls)) message.content = null;
  else if (message.content === "" && role.value !== "tool" && !problems.count) problems.add("message", "Write something, or remove this message.", text, row);
  if (role.value === "tool" && !message.tool_call_id && !problems.count) problems.add("message", 'A tool result names its call in the other fields: {"tool_call_id": "…"}', more, row);
  return message;
}

function readNumbers(form, request, problems) {
  for (const field of form.querySelectorAll("[data-number]")) {
    if (field.validity.valid && field.value === "") continue;
    if (field.validity.valid) request[field.name] = Number(field.value);
    else problems.add(field.name, field.validationMessage, field);
  }
}

function readShape(form, request, problems) {
  const format = form.elements.format.value;
  if (format === "json_object") request.response_format = { type: "json_object" };
  if (format !== "json_schema") return;
  const field = form.elements.schema;
  const schema = parsed(field.value, problems, "schema", field);
  if (schema === undefined) return;
  if (!isObject(schema)) problems.add("schema", "schema: it must be an object, in { }.", field);
  else request.response_format = { type: "json_schema", json_schema: { name: "answer", schema } };
}

function readTools(form, request, problems) {
  const field = form.elements.tools;
  if (!field.value.trim()) return;
  const tools = parsed(field.value, problems, "tools", field);
  if (tools === undefined) return;
  const problem = toolProblem(tools);
  if (problem) problems.add("tools", problem, field);
  else if (tools.length) request.tools = tools;
  if (form.elements.tool_choice.value) request.tool_choice = form.elements.tool_choice.value;
}

// The request without its model, and the headers that are its own.
export function readRequest(form, problems) {
  const request = { messages: [] };
  if (form.elements.system.value) request.messages.push({ role: "system", content: form.elements.system.value });
  for (const row of form.querySelectorAll("[data-message]")) request.messages.push(readMessage(row, problems));
  if (!request.messages.length) problems.add("request", "Add a message first.");
  readNumbers(form, request, problems);
  if (form.elements.reasoning_effort.value) request.reasoning_effort = form.elements.reasoning_effort.value;
  readShape(form, request, problems);
  readTools(form, request, problems);
  const other = form.elements.other;
  if (other.value.trim()) {
    const rest = parsed(other.value, problems, "other", other);
    if (rest !== undefined && !isObject(rest)) problems.add("other", "Other parameters: they must be an object, in { }.", other);
    else if (rest && ("model" in rest || "messages" in rest || "stream" in rest)) problems.add("other", "model, messages and stream have fields of their own.", other);
    else Object.assign(request, rest);
  }
  if (form.elements.stream.checked) Object.assign(request, { stream: true, stream_options: { include_usage: true } });
  const headers = {};
  if (form.elements.cache.value) headers["X-LLMLab-Cache"] = form.elements.cache.value;
  return { request, headers };
}

// What a link to the page says: models and parameters; never what is said.
export function linked(form, models) {
  const query = new URLSearchParams(models.map((model) => ["model", model]));
  for (const field of form.querySelectorAll("[data-number]")) if (field.value) query.set(field.name, field.value);
  for (const name of ["reasoning_effort", "tool_choice", "cache", "format"]) {
    const { value } = form.elements[name];
    if (value && value !== "text") query.set(name, value);
  }
  if (!form.elements.stream.checked) query.set("stream", "0");
  return query;
}
