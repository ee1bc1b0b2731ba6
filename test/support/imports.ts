/**
 * Finds the imports of a TypeScript source without a parser: a small tokenizer, so that words in comments, strings,
 * templates and patterns are not taken for code, and a walk over its tokens. Throws on a template that does not end.
 * @module
 */

export interface Import {
  /** The specifier, or undefined when it is computed. */
  readonly target: string | undefined;
  readonly typeOnly: boolean;
  readonly line: number;
}

export interface Token {
  readonly kind: "word" | "string" | "number" | "pattern" | "sign";
  /** The text; of a string its contents; of a template with substitutions only "${" and "`". */
  readonly text: string;
  readonly line: number;
}

// A slash after one of these words begins a pattern; after any other word it divides.
const beforePattern = /^(return|typeof|case|in|of|instanceof|new|delete|void|throw|do|else|await|yield)$/;
const lexeme =
  /(?<space>\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/|^#!.*)|(?<string>"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*')|(?<word>[\p{ID_Start}$_#][\p{ID_Continue}$]*)|(?<number>\.?\d[\w.]*)|(?<sign>[\s\S])/uy;
const pattern = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/y;
const templatePart = /(?:\\[\s\S]|\$(?!\{)|[^\\`$])*(`|\$\{)/y;

/** The tokens of a source; comments and white space are left out. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const braces: ("brace" | "template")[] = [];
  let at = 0;
  let line = 1;
  const match = (rule: RegExp): RegExpExecArray | null => {
    rule.lastIndex = at;
    return rule.exec(text);
  };
  const take = (length: number): string => {
    const taken = text.slice(at, at + length);
    line += taken.split("\n").length - 1;
    at += length;
    return taken;
  };
  const push = (kind: Token["kind"], text: string, start: number): void =>
    void tokens.push({ kind, text, line: start });
  // From after a backtick, or after the brace that closes a substitution, to the next of either.
  const template = (start: number, plain: boolean): void => {
    const part = match(templatePart);
    if (!part) throw new SyntaxError(`line ${start}: a template that does not end`);
    const whole = take(part[0].length);
    if (part[1] === "${") braces.push("template");
    if (plain && part[1] === "`") push("string", whole.slice(0, -1), start);
    else push("sign", part[1]!, start);
  };
  while (at < text.length) {
    const start = line;
    const slash = text[at] === "/" && text[at + 1] !== "/" && text[at + 1] !== "*";
    const regular = slash && !endsValue(tokens, tokens.length - 1) ? match(pattern) : null;
    if (regular) {
      push("pattern", take(regular[0].length), start);
      continue;
    }
    const groups = match(lexeme)!.groups!;
    if (groups.space !== undefined) take(groups.space.length);
    else if (groups.string !== undefined) push("string", take(groups.string.length).slice(1, -1), start);
    else if (groups.word !== undefined) push("word", take(groups.word.length), start);
    else if (groups.number !== undefined) push("number", take(groups.number.length), start);
    else {
      const sign = take(groups.sign!.length);
      if (sign === "`") template(start, true);
      else if (sign === "}" && braces.pop() === "template") template(start, false);
      else {
        if (sign === "{") braces.push("brace");
        push("sign", sign, start);
      }
    }
  }
  return tokens;
}

/** Whether a slash after token `i` divides. */
function endsValue(tokens: readonly Token[], i: number): boolean {
  const token = tokens[i];
  if (!token) return false;
  if (token.kind === "word") return !beforePattern.test(token.text);
  if (token.kind !== "sign") return true;
  return token.text === "!" ? endsValue(tokens, i - 1) : /^[)\]}`]$/.test(token.text);
}

/** Every import of a source: static, re-export, dynamic, type query, require of a literal, createRequire(…)(…). */
export function importsOf(tokens: readonly Token[]): Import[] {
  const found: Import[] = [];
  const codeAt = (i: number): string | undefined => (tokens[i]?.kind === "string" ? undefined : tokens[i]?.text);
  for (const [i, { kind, text, line }] of tokens.entries()) {
    if (kind !== "word" || codeAt(i - 1) === ".") continue;
    if (/^(import|require|createRequire)$/.test(text) && codeAt(i + 1) === "(") {
      const open = text === "createRequire" ? closing(tokens, i + 1) + 1 : i + 1;
      if (codeAt(open) !== "(") continue;
      const ends = codeAt(open + 2) === ")" || codeAt(open + 2) === ",";
      const target = ends && tokens[open + 1]?.kind === "string" ? tokens[open + 1]!.text : undefined;
      // A computed require cannot be told from a function of that name; without node:module there is no other.
      if (target !== undefined || text !== "require") found.push({ target, typeOnly: false, line });
    } else if (text === "import" || text === "export") {
      const clause = clauseFrom(tokens, i);
      if (clause) found.push({ ...clause, line });
    }
  }
  return found;
}

/** The index of the bracket that closes the one at `open`, or the end. */
function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    if (tokens[i]!.kind !== "sign") continue;
    if (tokens[i]!.text === "(") depth++;
    else if (tokens[i]!.text === ")" && --depth === 0) return i;
  }
  return tokens.length;
}

/** The target of the static `import` or `export … from` at `i`; undefined when it is an export of its own or import.meta. */
function clauseFrom(tokens: readonly Token[], i: number): { target: string; typeOnly: boolean } | undefined {
  const codeAt = (k: number): string | undefined => (tokens[k]?.kind === "string" ? undefined : tokens[k]?.text);
  const importing = codeAt(i) === "import";
  let next = i + 1;
  if (importing && tokens[next]?.kind === "string") return { target: tokens[next]!.text, typeOnly: false };
  // `import type from "x"` imports a value that is called type.
  const typeOnly = codeAt(next) === "type" && !(codeAt(next + 1) === "from" && tokens[next + 2]?.kind === "string");
  if (typeOnly) next++;
  if (!importing && codeAt(next) !== "{" && codeAt(next) !== "*") return undefined;
  // A clause is words, commas, stars and one pair of braces, in which names may be strings.
  let inBraces = false;
  for (; next < tokens.length; next++) {
    const text = codeAt(next);
    if (text === "{") inBraces = true;
    else if (text === "}") inBraces = false;
    else if (inBraces) continue;
    else if (text === "from" && tokens[next + 1]?.kind === "string")
      return { target: tokens[next + 1]!.text, typeOnly };
    else if (tokens[next]!.kind !== "word" && text !== "," && text !== "*") return undefined;
  }
  return undefined;
}
