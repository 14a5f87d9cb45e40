// A frame as the trainer packs it: the length of a header, the header in JSON, then arrays.

/** The header's fields, and losses, scores, parameters and neurons as typed arrays. */
export function decoded(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  const take = (Type, count) => {
    const array = new Type(buffer, at, count);
    at += array.byteLength;
    return array;
  };
  const { sizes, side, small } = header;
  const outputs = sizes.at(-1);
  const hidden = sizes.slice(1, -1).reduce((sum, n) => sum + n, 0);
  let parameters = 0;
  for (let i = 1; i < sizes.length; i++) parameters += (sizes[i - 1] + 1) * sizes[i];
  return {
    ...header,
    curve: take(Float64Array, header.losses),
    scores: take(Float32Array, outputs * side * side),
    parameters: take(Float32Array, parameters),
    neurons: take(Int8Array, hidden * small * small),
  };
}
