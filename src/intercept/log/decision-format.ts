// How decisions lie in the memory that a worker shares with the main thread: a length, a kind, and values with tags.

/** Before each record: how many bytes follow. */
export const LENGTH_BYTES = 4

/** Bytes of one record behind its length: more than any call that we ship reads of its caller. */
export const RECORD_MAX = 256 * 1024

export const KIND = {
  decision: 0,
  counted: 1,
  silent: 2,
  /** Beside one of the others: the strings that are known are forgotten first. */
  forgets: 0x80,
} as const

export const TAG = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  int32: 4,
  double: 5,
  bigint: 6,
  latin1: 7,
  utf16: 8,
  /** A string that came before, by its number. */
  known: 9,
  bytes: 10,
  list: 11,
  members: 12,
} as const

/** Strings that both sides remember; one record may add some more. */
export const STRINGS_KNOWN = 1024
/** A longer one is not worth remembering. */
export const STRING_KNOWN_MAX = 256
