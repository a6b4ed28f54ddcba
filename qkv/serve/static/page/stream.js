// Server-sent events of an answer to POST, which EventSource cannot read.

// The JSON of each event, until "[DONE]". Throws when the connection ends before it.
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) throw new Error("The connection ended before the answer did.");
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const data = part.startsWith("data: ") ? part.slice(6) : "";
      if (data === "[DONE]") return;
      if (data !== "") yield JSON.parse(data);
    }
  }
}
