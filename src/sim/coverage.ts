/** How often the situations came up for which the rules exist. */
export interface Coverage {
  updates: number
  transactions: number
  waits: number
  closedEarly: number
  idleSets: number
  sets: number
  severalMirrors: number
  threeMirrors: number
  nested: number
  /** Components that ended at an access to shared memory; hung ones that were ended, and that went on. */
  deaths: number
  hung: number
  resumed: number
  /** Deaths while a view was changing; while some component had no free memory; beyond what mirrors cover. */
  deathsInChange: number
  deathsWithFullMemory: number
  deathsBeyondMirrors: number
  /** Changes of view in which something acknowledged was lost, and said to be. */
  losses: number
  replaced: number
  takenOver: number
  joins: number
  leaves: number
  secondaryDeaths: number
  /** Updates of which the bytes were fetched again from the primary; sets that were applied together with an earlier one. */
  refetched: number
  merged: number
  /** Sets that were closed with a name, with updates and without. */
  named: number
  namedIdle: number
  /** Updates that were not sent: a later one of their set overwrites them. */
  leftOut: number
  views: number
  /** Sets that came into the spool; that were taken from it; of those some had been on their way to the secondary before. */
  kept: number
  unspooled: number
  givenUp: number
  /** Sets that were sent while the one before was not journaled yet. */
  overlapped: number
  /** Deaths of the spool; of components, and of secondary components, while something was in the spool; views that changed then. */
  spoolDeaths: number
  deathsWhileSpooling: number
  secondaryDeathsWhileSpooling: number
  viewsWhileSpooling: number
  /** Groups that were suspended since there was no memory for bytes that had to be fetched again. */
  noRoom: number
  /** Groups that were suspended since more sets had to be secured together than can be held. */
  boundTooFar: number
  /** Secondary components that stood still; writes for which there was no room. */
  stalls: number
  fullDisks: number
}

const NAMES: readonly (keyof Coverage)[] = [
  'updates',
  'transactions',
  'waits',
  'closedEarly',
  'idleSets',
  'sets',
  'severalMirrors',
  'threeMirrors',
  'nested',
  'deaths',
  'hung',
  'resumed',
  'deathsInChange',
  'deathsWithFullMemory',
  'deathsBeyondMirrors',
  'losses',
  'replaced',
  'takenOver',
  'joins',
  'leaves',
  'secondaryDeaths',
  'refetched',
  'merged',
  'named',
  'namedIdle',
  'leftOut',
  'views',
  'kept',
  'unspooled',
  'givenUp',
  'overlapped',
  'spoolDeaths',
  'deathsWhileSpooling',
  'secondaryDeathsWhileSpooling',
  'viewsWhileSpooling',
  'noRoom',
  'boundTooFar',
  'stalls',
  'fullDisks'
]

export function emptyCoverage(): Coverage {
  return Object.fromEntries(NAMES.map((name) => [name, 0])) as unknown as Coverage
}

export function addCoverage(sum: Coverage, one: Coverage): Coverage {
  return Object.fromEntries(NAMES.map((name) => [name, sum[name] + one[name]])) as unknown as Coverage
}
