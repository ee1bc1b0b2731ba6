/**
 * A table of what was used of late, in two generations: what is used moves to the young one, and when that is full the
 * old one is dropped as a whole. Nearly what a queue by last use gives, at the price of a plain look-up; a Map whose
 * entries are moved to its end at each use costs several times as much.
 * @module
 */
export class Recent<Key, Value> {
  readonly #half: number;
  readonly #drop: (value: Value) => void;
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();

  /** @param most entries at any time  @param drop told of each value that leaves, once */
  constructor(most: number, drop: (value: Value) => void = () => {}) {
    this.#half = most >> 1;
    this.#drop = drop;
  }

  get(key: Key): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old === undefined) return undefined;
    this.#old.delete(key);
    this.#add(key, old);
    return old;
  }

  /** A value in place of an earlier one, which leaves. */
  set(key: Key, value: Value): void {
    const before = this.#young.get(key) ?? this.#old.get(key);
    if (before !== undefined) {
      this.#young.delete(key);
      this.#old.delete(key);
      this.#drop(before);
    }
    this.#add(key, value);
  }

  #add(key: Key, value: Value): void {
    this.#young.set(key, value);
    if (this.#young.size < this.#half) return;
    const left = this.#old;
    this.#old = this.#young;
    this.#young = new Map();
    for (const dropped of left.values()) this.#drop(dropped);
  }

  clear(): void {
    const left = [this.#young, this.#old];
    this.#young = new Map();
    this.#old = new Map();
    for (const generation of left) for (const dropped of generation.values()) this.#drop(dropped);
  }
}
