"""Writes TensorFlow checkpoints for tests, without TensorFlow: a sorted table as index, protocol buffers in it, and the
data files. Tensors are {name: (dtype of safetensors, shape, bytes)}."""
import struct

TYPES = {"F32": 1, "F64": 2, "I32": 3, "U8": 4, "I64": 9, "BOOL": 10, "BF16": 14, "F16": 19}
MAGIC = 0xdb4775248b80fb57


def crc32c(data):
    rest = 0xffffffff
    for byte in data:
        rest = TABLE[(rest ^ byte) & 0xff] ^ (rest >> 8)
    return rest ^ 0xffffffff


def table():
    entries = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82f63b78 if byte & 1 else 0)
        entries.append(byte)
    return entries


TABLE = table()


def masked(data):
    rest = crc32c(data)
    return ((rest >> 15 | rest << 17) + 0xa282ead8) & 0xffffffff


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """A field of a protocol buffer: a number or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(pairs, restart=16):
    out, restarts, last = b"", [], b""
    for i, (key, value) in enumerate(pairs):
        shared = 0
        if i % restart == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(last), len(key)) and last[shared] == key[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return out + b"".join(struct.pack("<I", at) for at in restarts) + struct.pack("<I", len(restarts))


def snappy(data):
    """Valid, if not small: bytes as they are, and copies where eight bytes repeat those before."""
    out, at = varint(len(data)), 0
    while at < len(data):
        if at >= 8 and data[at:at + 8] == data[at - 8:at]:
            out += bytes([7 << 2 | 2]) + struct.pack("<H", 8)
            at += 8
        else:
            piece = data[at:at + (70 if at % 3 == 0 else 1)]
            out += bytes([60 << 2, len(piece) - 1]) if len(piece) > 60 else bytes([(len(piece) - 1) << 2])
            out += piece
            at += len(piece)
    return out


def sorted_table(pairs, size=4096, compress=False):
    out, index, group = b"", [], []

    def add(content):
        nonlocal out
        kind = b"\1" if compress else b"\0"
        content = snappy(content) if compress else content
        handle = varint(len(out)) + varint(len(content))
        out += content + kind + struct.pack("<I", masked(content + kind))
        return handle

    for key, value in sorted(pairs.items()):
        group.append((key, value))
        if sum(len(k) + len(v) for k, v in group) > size:
            index.append((group[-1][0], add(block(group))))
            group = []
    if group:
        index.append((group[-1][0], add(block(group))))
    meta = add(block([]))
    footer = meta + add(block(index, 1))
    return out + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def write(prefix, tensors, shards=1, compress=False, block=4096):
    data = [b""] * shards
    pairs = {b"": field(1, shards) + field(2, 0) + field(3, field(1, 1))}
    for i, (name, (dtype, shape, content)) in enumerate(sorted(tensors.items())):
        shard = i % shards
        entry = field(1, TYPES[dtype]) + field(2, b"".join(field(2, field(1, size)) for size in shape))
        entry += field(3, shard) + field(4, len(data[shard])) + field(5, len(content))
        pairs[name.encode()] = entry + varint(6 << 3 | 5) + struct.pack("<I", masked(content))
        data[shard] += content
    prefix.with_name(prefix.name + ".index").write_bytes(sorted_table(pairs, block, compress))
    for i, content in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{i:05}-of-{shards:05}").write_bytes(content)


def variable(name, tensor):
    """A PyTorch tensor under TensorFlow's conventions: kernels transposed, a norm's gamma and beta."""
    dtype, shape, content = tensor
    stem, _, end = name.rpartition("/")
    if stem.endswith("_embeddings"):
        return {stem: tensor}
    if "LayerNorm" in stem:
        return {f"{stem}/{'gamma' if end == 'weight' else 'beta'}": tensor}
    if end == "weight" and len(shape) == 2:
        width = {"F32": 4, "F16": 2, "BF16": 2}[dtype]
        rows, columns = shape
        items = [content[i * width:(i + 1) * width] for i in range(rows * columns)]
        turned = b"".join(items[r * columns + c] for c in range(columns) for r in range(rows))
        return {f"{stem}/kernel": (dtype, [columns, rows], turned)}
    return {name: tensor}
