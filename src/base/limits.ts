/**
 * Every bound in one place. Those of the format hold for ever and for every implementation; those of this
 * implementation may change with any release.
 * @module
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** Bounds of the format: a reader refuses what lies beyond, before it allocates. */
export const format = {
  /** plaintext of one chunk, for readers; writers stop at `splitMaximum` */
  chunkBytes: 4 * MiB,
  /** decompressed bytes of one frame */
  frameBytes: 8 * MiB,
  /** sealed bytes of one frame: plaintext, its head and hints, nonce and tag */
  sealedFrameBytes: 12 * MiB,
  /** whole segment */
  segmentBytes: 1024 * MiB,
  framesPerSegment: 65_536,
  /** so many that a segment's table, as an object of its own, still fits one chunk */
  chunksPerSegment: 65_536,
  /** unit of verified ranges and of padding */
  leafBytes: 64 * KiB,
  /** one record with everything */
  recordBytes: 64 * KiB,
  /** a name in a folder; Linux ends at 255, some file systems hand out more */
  nameBytes: 1024,
  /** a symbolic link's target; Linux ends at 4095 */
  targetBytes: 65_535,
  xattrsPerEntry: 4096,
  xattrNameBytes: 255,
  /** an xattr value up to here stands in the entry, a longer one is content */
  xattrInlineBytes: 1 * KiB,
  xattrValueBytes: 16 * MiB,
  /** levels of content lists and of folder trees */
  levels: 12,
  extensionBytes: 4 * KiB,
  extensions: 64,
  /** hosts, filesets, labels */
  labelBytes: 64,
  hintRuns: 1 << 20,
  capsulePartBytes: 256 * KiB,
  /** boxes with the coop's key in one epoch record; a coop of more devices needs several records */
  coopBoxes: 400,
  /** the text of a coop key file */
  inviteBytes: 64 * KiB,
  bootstrapEntries: 16,
  /** host:port of a bootstrap node */
  addressBytes: 260,
} as const;

/** Bounds of what goes over a link: a reader refuses what lies beyond, before it allocates. */
export const wire = {
  knockBytes: 4 * KiB,
  /** one message with everything; those before admission stay below it by their own bounds */
  messageBytes: 1 * MiB + 64 * KiB,
  headsPerMessage: 512,
  recordsPerMessage: 1024,
  /** records of one message, in sum */
  recordBytesPerMessage: 256 * KiB,
  partsPerMessage: 512,
  /** a part of the capsule with everything */
  partBytes: 320 * KiB,
  leavesPerRequest: 4,
  /** chaining values beside a range of leaves; an object of 2^53 bytes needs 74 */
  proofValues: 80,
  /** names in one question or receipt */
  names: 1024,
  receiptBytes: 64 * KiB,
} as const;

/** Choices of this implementation. */
export const choice = {
  /** plaintext gathered in one frame before it is compressed and sealed */
  frameTargetBytes: 512 * KiB,
  segmentTargetBytes: 32 * MiB,
  /** half of what a segment may hold: what comes between two looks at it has room */
  segmentTargetChunks: 32_768,
  /** average size of a folder's or list's chunk */
  treeChunkBytes: 8 * KiB,
  treeChunkMinimum: 2 * KiB,
  treeChunkMaximum: 64 * KiB,
  /** an interrupted snapshot loses at most this much */
  interimBytes: 256 * MiB,
  interimSeconds: 60,
  readBufferBytes: 1 * MiB,
  /** decoded frames held by one reader */
  frameCacheBytes: 32 * MiB,
  /** frames asked for ahead of a reader that goes through a segment of others in order */
  readAheadFrames: 4,
  /** how much of the end of a segment is asked for at once, where its table is looked for */
  tailBytes: 128 * KiB,
  /** rows of opened tables held by one reader, about 250 B each */
  tableRows: 64 * KiB,
  /** places of ids that the index does not know yet, held by one reader, about 100 B each */
  hints: 64 * KiB,
  /** tables that are learned in one transaction, and asked for at once */
  tablesAtOnce: 8,
  /** how long one read looks through tables that the index does not know yet */
  seekSeconds: 60,
  /** decoded entries (or items of upper chunks and lists) held by one process, about 1 KiB each */
  decodedEntries: 16 * KiB,
  /** objects whose chaining values are held for peers that ask, and leaves of all of them (64 B each) */
  servedObjects: 256,
  servedLeaves: 128 * KiB,
  /** a file that changes while it is read is read again this often before it is flagged */
  rereads: 2,
  /** a catalogue up to here is hashed at each start; a larger one is known by its size, times and inode */
  sealHashBytes: 64 * MiB,
  /** address space of the catalogue; the file is only as large as its contents */
  catalogueMapBytes: 2 ** 40,
  /** public keys found sound (or not) that one process remembers */
  checkedKeys: 1024,
  /** what one coop's log may grow to here: records, bytes and chains */
  coopRecords: 16_384,
  coopBytes: 32 * MiB,
  coopChains: 1024,
  /** devices of one vault that an admin's device lists without being told to: a vault can certify any number */
  coopDevicesPerVault: 256,
  /** records of it that are held in memory until those that they rest on have come */
  coopWaiting: 1024,
  coopWaitingBytes: 4 * MiB,
  /** keys of a coop that are kept; the newest and three before it are met under */
  coopKeys: 16,
  coopTopics: 4,
  /** an invite is good for a week */
  inviteSeconds: 7 * 24 * 3600,
} as const;

/** Choices of this implementation about links and what flows over them. */
export const swarm = {
  /** links that are not admitted yet, links in all, links with one device */
  linksKnocking: 32,
  links: 128,
  linksPerDevice: 8,
  admissionSeconds: 10,
  /** devices that misbehaved and are remembered, and for how long they are kept out: doubled each time up to the most */
  keptOut: 1024,
  keptOutFirstSeconds: 60,
  keptOutMostSeconds: 86_400,
  /** between two looks whether another process of this home has committed something */
  pollMs: 500,
  /** looks after which others' logs are looked at too */
  pollsOfAll: 16,
  /** bytes of objects asked of one peer and not here yet */
  linkCreditBytes: 4 * MiB,
  /** requests for them, and those among them that are for keeping: the rest is free for whoever waits for bytes */
  leavesRequests: 32,
  pullRequests: 8,
  /** questions whether a peer holds objects, open at a time */
  heldRequests: 2,
  objectsAtOnce: 4,
  /** wanted objects looked at together */
  wantedWindow: 1024,
  /** between two looks at everything that is wanted, and at what nobody had */
  wantedMs: 200,
  wantedAgainMs: 30_000,
  /** answers of one peer about objects by name that are remembered */
  heldNames: 16_384,
  /** without progress for so long another peer is asked; without any answer for `deadSeconds` the link is cut */
  stallSeconds: 10,
  deadSeconds: 60,
  /** a read that waits is asked of a second peer too, and given up */
  hedgeMs: 2_000,
  readPatienceMs: 15_000,
  /** a peer that did not hold what a read waits for is asked again */
  lookAgainMs: 3_000,
  fullDiskSeconds: 60,
  /** questions of one peer that wait for their answer here; with more the link is cut */
  questions: 64,
  /** for records and parts; a machine that recovers asks for all of them at once */
  plainQuestions: 4096,
  /** troubles with objects that are not said again */
  saidOnce: 256,
  /** logs of one vault, and device parts of one, that are taken */
  logsPerVault: 1024,
  partsPerVault: 1024,
  /** logs that one peer may speak of */
  headsPerPeer: 65_536,
  /** proofs of forks in logs that are not here as far as that */
  earlyProofs: 256,
  /** questions for records open at one peer, each for another log */
  recordAsks: 8,
  /** between two statements to one peer of what is held or new */
  statementMs: 1_000,
  /** between two full statements that one peer has asked for */
  restateMs: 10_000,
} as const;
