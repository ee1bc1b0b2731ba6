/** Listings, and the records that list, release and hold objects. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { format } from "../../src/base/limits.js";
import { boxOverhead } from "../../src/format/aead.js";
import { newEpoch } from "../../src/format/keys.js";
import {
  covers,
  decodeHold,
  decodeListings,
  decodeRelease,
  decodeTablePlaces,
  defaultClass,
  encodeHold,
  encodeListings,
  encodeRelease,
  encodeTablePlaces,
  type HoldBody,
  importances,
  isSegment,
  type ListBody,
  type Listing,
  listingsPerRecord,
  lowestClass,
  objectKinds,
  type ReleaseBody,
  type TablePlace,
} from "../../src/format/listing.js";
import { recordHeaderBytes, recordTypes, sealRecord } from "../../src/format/record.js";
import { signatureBytes, signingKeyOf } from "../../src/format/sign.js";
import { checkPlain } from "../support/strict.js";
import {
  fieldsArbitrary,
  i64,
  idArbitrary,
  idsArbitrary,
  listingArbitrary,
  randomOf,
  record,
  samplesOf,
} from "./given.js";

const random = randomOf("listing");
const sample: Listing = {
  name: random(32),
  length: format.segmentBytes,
  kind: objectKinds.dataSegment,
  salt: random(32),
  class: { copies: 255, minimum: 255, importance: 255 },
  adopted: true,
  fields: [],
};
const placeSample: TablePlace = { salt: random(32), table: random(32), holder: random(32) };

test("list: clear and sealed", () => {
  const body: fc.Arbitrary<ListBody> = record({
    listings: fc.array(listingArbitrary, { maxLength: 3 }),
    fields: fieldsArbitrary,
  });
  checkPlain("list", {
    encode: ({ listings, fields }) => encodeListings(listings, fields),
    decode: decodeListings,
    samples: [{ listings: [], fields: [] }, ...samplesOf(body, 12)],
  });
  const place: fc.Arbitrary<TablePlace> = record({ salt: idArbitrary, table: idArbitrary, holder: idArbitrary });
  const places = record({ places: fc.array(place, { maxLength: 3 }), fields: fieldsArbitrary });
  checkPlain("list of tables", {
    encode: (value) => encodeTablePlaces(value.places, value.fields),
    decode: decodeTablePlaces,
    samples: samplesOf(places, 6),
  });
});

test("release and hold", () => {
  const release: fc.Arbitrary<ReleaseBody> = record({ names: idsArbitrary, fields: fieldsArbitrary });
  checkPlain("release", { encode: encodeRelease, decode: decodeRelease, samples: samplesOf(release, 6) });
  const hold: fc.Arbitrary<HoldBody> = record({ names: idsArbitrary, until: i64, fields: fieldsArbitrary });
  checkPlain("hold", { encode: encodeHold, decode: decodeHold, samples: samplesOf(hold, 6) });
});

test("a kind or importance that this version does not know is kept to the byte", () => {
  for (let number = 0; number < 256; number++) {
    const of: Listing = { ...sample, kind: number, class: { ...sample.class, importance: number } };
    const bytes = encodeListings([of, sample]);
    const { listings } = decodeListings(bytes);
    assert.deepEqual(listings, [of, sample]);
    assert.deepEqual(encodeListings(listings), bytes);
    const long = encodeListings([{ ...of, length: format.segmentBytes + 1 }]);
    if (isSegment(number)) assert.throws(() => decodeListings(long), { code: "format" });
    else assert.equal(decodeListings(long).listings[0]?.length, format.segmentBytes + 1);
  }
});

test("fields of listings and lists: odd ones are kept, even ones refused", () => {
  const odd = [{ number: 9, bytes: Buffer.from("shard 3 of 7") }];
  const bytes = encodeListings([{ ...sample, fields: odd }], odd);
  assert.deepEqual(decodeListings(bytes), { listings: [{ ...sample, fields: odd }], fields: odd });
  const even = [{ number: 2, bytes: Buffer.alloc(0) }];
  assert.throws(() => decodeListings(encodeListings([{ ...sample, fields: even }])), { code: "unsupported" });
  assert.throws(() => decodeListings(encodeListings([sample], even)), { code: "unsupported" });
});

test("the most listings with the most table places fit one record", () => {
  const most = listingsPerRecord;
  // The longest that lengths of segments get, and places for every one of them.
  const clear = encodeListings(Array<Listing>(most).fill(sample));
  const secret = encodeTablePlaces(Array<TablePlace>(most).fill(placeSample));
  assert.equal(decodeListings(clear).listings.length, most);
  assert.equal(decodeTablePlaces(secret).places.length, most);
  const whole = recordHeaderBytes + clear.length + secret.length + boxOverhead + signatureBytes;
  const draft = {
    type: recordTypes.list,
    vault: random(32),
    log: random(32),
    seq: (1n << 64n) - 1n,
    previous: random(32),
    time: (1n << 63n) - 1n,
    clear,
    secret,
  };
  const sealed = sealRecord(draft, newEpoch(random, 0xffff), signingKeyOf(random(32)), random);
  assert.equal(sealed.bytes.length, whole);
  assert.ok(whole <= format.recordBytes - 8 * 1024, `${whole} bytes: room for fields is left`);
});

test("one more than a body may hold is refused", () => {
  const name = random(32);
  assert.throws(() => encodeListings(Array<Listing>(listingsPerRecord + 1).fill(sample)), RangeError);
  const full = encodeListings(Array<Listing>(listingsPerRecord).fill(sample));
  const one = encodeListings([sample]).subarray(1, -1);
  const over = Buffer.concat([Buffer.from([0x81, 2]), full.subarray(2, -1), one, Buffer.alloc(1)]);
  assert.throws(() => decodeListings(over), { code: "format" });
  const places = Array<TablePlace>(listingsPerRecord + 1).fill(placeSample);
  assert.throws(() => decodeTablePlaces(encodeTablePlaces(places)), { code: "format" });
  const names = Array<Buffer>(1024).fill(name);
  assert.equal(decodeRelease(encodeRelease({ names, fields: [] })).names.length, 1024);
  assert.equal(decodeHold(encodeHold({ names, until: 1n, fields: [] })).names.length, 1024);
  assert.throws(() => encodeRelease({ names: [...names, name], fields: [] }), RangeError);
  assert.throws(() => encodeHold({ names: [...names, name], until: 1n, fields: [] }), RangeError);
});

test("a class covers those that ask for no more", () => {
  assert.ok(covers(defaultClass, defaultClass) && covers(defaultClass, lowestClass));
  assert.ok(!covers(lowestClass, defaultClass));
  const better = { copies: 3, minimum: 2, importance: importances.critical };
  assert.ok(covers(better, defaultClass) && !covers(defaultClass, better));
  for (const one of [{ copies: 3 }, { minimum: 2 }, { importance: importances.critical }, { importance: 200 }]) {
    const more = { ...defaultClass, ...one };
    assert.ok(!covers(defaultClass, more) && covers(more, defaultClass));
  }
});
