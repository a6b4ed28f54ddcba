// Small choices that this browser remembers.
export function recall(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`qkv-${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(name, value) {
  localStorage.setItem(`qkv-${name}`, JSON.stringify(value));
}
