// A conversation is a tree of messages {id, parent, role, content, ...}: who edits or asks again adds a branch, and the
// leaf tells which branch is shown. Ids grow with time.

// The messages from a first one to the leaf.
export function pathTo(messages, leaf) {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const path = [];
  for (let at = byId.get(leaf); at !== undefined; at = byId.get(at.parent)) path.unshift(at);
  return path;
}

// The branches that begin where this message does, itself among them.
export function siblings(messages, message) {
  return messages.filter((other) => (other.parent ?? null) === (message.parent ?? null));
}

// The end of the branch that goes through a message: the latest wherever it forks.
export function leafUnder(messages, id) {
  const latest = new Map();
  for (const message of messages) latest.set(message.parent, message.id);
  while (latest.has(id)) id = latest.get(id);
  return id;
}
