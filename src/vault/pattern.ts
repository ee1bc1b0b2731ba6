/**
 * One pattern of an include or exclude list: a glob with gitignore's meaning. Names are bytes, as they are for the
 * kernel and for git, so `*.o` also meets names that are not UTF-8.
 *
 *   name            that name at any depth below a root            *   any bytes of one name but never `/`
 *   a/b             `a/b` directly below each root                 ?   one byte (`é` is two)
 *   /home/ann/tmp   that absolute source path                      [a-z] [!a-z] [[:digit:]]   one byte of a class
 *   name/           folders only                                   **  as a whole part: any number of folders
 *   !name           takes back what an earlier rule of the list said           \   takes away a special meaning
 *
 * No pattern costs more than its length times the path's: only the last star is ever tried again.
 * What git silently never matches (a class left open, `a//b`, `./a`, a `\` at the end) is a fault here.
 * @module
 */

const slash = 0x2f;

export interface Pattern {
  readonly negated: boolean;
  readonly foldersOnly: boolean;
  /** One part that is matched against the name at any depth. */
  readonly floating: boolean;
  /** Counts from `/`; else from each root. */
  readonly absolute: boolean;
  readonly parts: readonly Part[];
}

/** What stands between two slashes. `literal` and `suffix` (`*` + bytes) compare bytes; `glob` runs tokens. */
export interface Part {
  readonly kind: "literal" | "suffix" | "glob" | "deep";
  readonly bytes: Uint8Array;
  readonly tokens: readonly Token[];
}

/** A byte, `?`, `*`, or a class: a table that holds 1 for each byte in it. */
type Token = number | Uint8Array;
const anyByte = 256;
const star = 257;

/** The first fault in a list of patterns and its place, or undefined. What `compileRules` would throw. */
export function faultInPatterns(
  patterns: readonly string[],
  list: "include" | "exclude",
): { readonly index: number; readonly why: string } | undefined {
  for (const [index, text] of patterns.entries()) {
    const pattern = parsePattern(text);
    if (typeof pattern === "string") return { index, why: pattern };
  }
  if (list === "include" && patterns.length > 0 && patterns.every((text) => text.startsWith("!")))
    return { index: 0, why: "an include list of ! patterns alone would capture nothing; add a pattern without !" };
  return undefined;
}

/** A path and where its parts (the names between slashes) begin and end. */
export class PathParts {
  count = 0;
  bytes: Uint8Array = new Uint8Array(0);
  private bounds = new Int32Array(64);

  set(bytes: Uint8Array): void {
    if (bytes[0] !== slash) throw new Error("a path to decide about must be absolute");
    this.bytes = bytes;
    this.count = 0;
    for (let i = 1; i < bytes.length; ) {
      let end = i;
      while (end < bytes.length && bytes[end] !== slash) end++;
      if (this.count * 2 >= this.bounds.length) {
        const larger = new Int32Array(this.bounds.length * 2);
        larger.set(this.bounds);
        this.bounds = larger;
      }
      this.bounds[this.count * 2] = i;
      this.bounds[this.count * 2 + 1] = end;
      this.count++;
      i = end + 1;
    }
  }

  start(part: number): number {
    return this.bounds[part * 2] as number;
  }

  end(part: number): number {
    return this.bounds[part * 2 + 1] as number;
  }

  /** The first `end` bytes of the path are `other`. */
  startsWith(other: Uint8Array, end: number): boolean {
    if (other.length !== end) return false;
    for (let i = 0; i < end; i++) if (this.bytes[i] !== other[i]) return false;
    return true;
  }

  /** The path is a folder above `other`. */
  isStartOf(other: Uint8Array): boolean {
    const { bytes } = this;
    if (bytes.length > 1 && other[bytes.length] !== slash) return false;
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== other[i]) return false;
    return true;
  }
}

/** The parts from..to of the path against the pattern's. Only the last `**` is ever tried again. */
export function partsMatch(parts: readonly Part[], path: PathParts, from: number, to: number): boolean {
  let p = 0;
  let i = from;
  let afterDeep = -1;
  let deepFrom = -1;
  while (i < to) {
    const part = parts[p];
    if (part?.kind === "deep") {
      afterDeep = ++p;
      deepFrom = i;
    } else if (part && partMatches(part, path.bytes, path.start(i), path.end(i))) {
      p++;
      i++;
    } else {
      if (afterDeep < 0) return false;
      p = afterDeep;
      i = ++deepFrom;
    }
  }
  return p === parts.length; // a pattern never ends in `**`: see parsePattern
}

/** Whether some path that goes on from the parts from..to, at least one part longer, can match. */
export function mayMatchLonger(parts: readonly Part[], path: PathParts, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const part = parts[i - from];
    if (part?.kind === "deep") return true;
    if (!part || !partMatches(part, path.bytes, path.start(i), path.end(i))) return false;
  }
  return parts.length > to - from;
}

export function partMatches({ kind, bytes, tokens }: Part, path: Uint8Array, from: number, to: number): boolean {
  if (kind === "glob") return tokensMatch(tokens, path, from, to);
  const start = to - bytes.length;
  if (kind === "literal" ? start !== from : start < from) return false;
  for (let i = 0; i < bytes.length; i++) if (path[start + i] !== bytes[i]) return false;
  return true;
}

/** Only the last star is ever tried again: at most name length × token count steps. */
function tokensMatch(tokens: readonly Token[], name: Uint8Array, from: number, to: number): boolean {
  let t = 0;
  let i = from;
  let afterStar = -1;
  let starFrom = -1;
  while (i < to) {
    const token = tokens[t];
    if (token === star) {
      afterStar = ++t;
      starFrom = i;
    } else if (token !== undefined && tokenMatches(token, name[i] as number)) {
      t++;
      i++;
    } else {
      if (afterStar < 0) return false;
      t = afterStar;
      i = ++starFrom;
    }
  }
  while (tokens[t] === star) t++;
  return t === tokens.length;
}

function tokenMatches(token: Token, byte: number): boolean {
  return typeof token === "number" ? token === byte || token === anyByte : token[byte] === 1;
}

function ascii(character: string): number {
  return character.charCodeAt(0);
}

/** The compiled pattern, or one line that says what is wrong with it. */
export function parsePattern(text: string): Pattern | string {
  const negated = text.startsWith("!");
  let rest = negated ? text.slice(1) : text;
  if (/(^|&\s*!?\s*)(re:|(size|mtime)\s*[<>=])/.test(rest))
    return "this version knows no re:, size or mtime patterns; for a name that looks so, put \\ before its first letter";
  if (rest.includes("\0")) return "holds a NUL";
  const foldersOnly = rest.endsWith("/");
  if (foldersOnly) rest = rest.slice(0, -1);
  const absolute = rest.startsWith("/");
  if (absolute) rest = rest.slice(1);
  if (rest === "") return "is empty";
  const split = parseParts(new TextEncoder().encode(rest));
  if (typeof split === "string") return split;
  const anchored = absolute || rest.includes("/");
  const parts: Part[] = [];
  for (const tokens of split) {
    const deep = anchored && tokens.length > 1 && tokens.every((token) => token === star);
    if (deep && parts.at(-1)?.kind === "deep") continue;
    const part = toPart(tokens, deep);
    if (typeof part === "string") return part;
    parts.push(part);
  }
  // `a/**` is everything below a, not a itself: any folders, then one name.
  if (parts.at(-1)?.kind === "deep") parts.push({ kind: "glob", bytes: new Uint8Array(0), tokens: [star] });
  return { negated, foldersOnly, floating: !anchored, absolute, parts };
}

function toPart(tokens: readonly Token[], deep: boolean): Part | string {
  if (tokens.length === 0) return "two slashes in a row match nothing";
  if (deep) return { kind: "deep", bytes: new Uint8Array(0), tokens: [] };
  const single = tokens.filter((token, i) => token !== star || tokens[i - 1] !== star);
  const isByte = (token: Token) => typeof token === "number" && token < anyByte;
  if (single.every(isByte)) {
    const bytes = Uint8Array.from(single as number[]);
    if (/^\.\.?$/.test(String.fromCharCode(...bytes.subarray(0, 3)))) return "a part . or .. matches nothing";
    return { kind: "literal", bytes, tokens: single };
  }
  const tail = single.slice(1);
  if (single[0] === star && tail.length > 0 && tail.every(isByte))
    return { kind: "suffix", bytes: Uint8Array.from(tail as number[]), tokens: single };
  return { kind: "glob", bytes: new Uint8Array(0), tokens: single };
}

function parseParts(text: Uint8Array): Token[][] | string {
  const parts: Token[][] = [[]];
  for (let i = 0; i < text.length; i++) {
    let byte = text[i] as number;
    const escaped = byte === ascii("\\");
    if (escaped) {
      if (i + 1 === text.length) return "ends with a backslash that escapes nothing";
      byte = text[++i] as number;
    }
    if (byte === slash) parts.push([]);
    else if (escaped) parts.at(-1)?.push(byte);
    else if (byte === ascii("*")) parts.at(-1)?.push(star);
    else if (byte === ascii("?")) parts.at(-1)?.push(anyByte);
    else if (byte === ascii("[")) {
      const found = parseClass(text, i + 1);
      if (typeof found === "string") return found;
      parts.at(-1)?.push(found.table);
      i = found.end;
    } else parts.at(-1)?.push(byte);
  }
  return parts;
}

/** A class from the byte after its `[`; `end` is the place of its `]`. */
function parseClass(text: Uint8Array, start: number): { table: Uint8Array; end: number } | string {
  const table = new Uint8Array(256);
  const unclosed = "a class that is not closed: write \\[ for a bracket";
  const negated = text[start] === ascii("!") || text[start] === ascii("^");
  const first = negated ? start + 1 : start;
  for (let i = first; i < text.length; ) {
    if (text[i] === ascii("]") && i > first) {
      if (negated) for (let byte = 0; byte < 256; byte++) table[byte] = table[byte] ? 0 : 1;
      return { table, end: i };
    }
    if (text[i] === ascii("[") && text[i + 1] === ascii(":")) {
      const close = text.indexOf(ascii("]"), i + 2);
      const name = close < 0 ? "" : String.fromCharCode(...text.subarray(i + 2, close));
      if (name.endsWith(":")) {
        const members = namedClasses.get(name.slice(0, -1));
        if (!members) return `no class is called [:${name}]`;
        for (let byte = 0; byte < 128; byte++) if (members.test(String.fromCharCode(byte))) table[byte] = 1;
        i = close + 1;
        continue;
      }
    }
    const low = classByte(text, i);
    if (!low) return unclosed;
    let high = low;
    if (text[low.next] === ascii("-") && low.next + 1 < text.length && text[low.next + 1] !== ascii("]")) {
      const found = classByte(text, low.next + 1);
      if (!found) return unclosed;
      if (found.byte < low.byte) return "a range that runs backwards";
      high = found;
    }
    table.fill(1, low.byte, high.byte + 1);
    i = high.next;
  }
  return unclosed;
}

function classByte(text: Uint8Array, at: number): { byte: number; next: number } | undefined {
  const place = text[at] === ascii("\\") ? at + 1 : at;
  const byte = text[place];
  return byte === undefined ? undefined : { byte, next: place + 1 };
}

const namedClasses: ReadonlyMap<string, RegExp> = new Map([
  ["alnum", /[A-Za-z0-9]/],
  ["alpha", /[A-Za-z]/],
  ["blank", /[ \t]/],
  ["cntrl", /\p{Cc}/u],
  ["digit", /[0-9]/],
  ["graph", /[!-~]/],
  ["lower", /[a-z]/],
  ["print", /[ -~]/],
  ["punct", /[!-/:-@[-`{-~]/],
  ["space", /[ \t-\r]/],
  ["upper", /[A-Z]/],
  ["xdigit", /[0-9A-Fa-f]/],
]);
