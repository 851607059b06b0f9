import { type Board, PHASE_RESTORE, PHASE_STOP } from '../memory/board.ts'
import type { ComponentParts } from '../protocol/component.ts'
import type { HolderRule } from '../protocol/holders.ts'
import { OutLink } from '../protocol/out-link.ts'
import { cutBack } from '../protocol/rebuild.ts'
import { Restore } from '../protocol/restore.ts'
import type { Place } from '../protocol/setting.ts'
import { SourceIntake } from '../protocol/source-intake.ts'
import { ViewChanges, type ViewSetting } from '../protocol/view-changes.ts'
import { ViewMember } from '../protocol/view-member.ts'
import type { Variant } from './variant.ts'

// Changes of view, each with one of their rules broken.

/** Has answered, and goes on as before until it begins anew. */
class NoFreeze extends ViewMember {
  private readonly board: Board

  constructor(place: Place, parts: Partial<ComponentParts>, firstSet?: number) {
    super(place, parts, firstSet)
    this.board = place.board
  }
  override step(): number {
    const work = super.step()
    if ((this.board.loadView() & 3) !== PHASE_STOP || this.component === undefined) return work
    return work + this.component.step()
  }
}

/** Reads the acknowledged positions when it tells everybody to stop, not when they have. */
class MarksNotAwaited extends ViewChanges {
  private readonly sources: ViewSetting['sources']
  private readonly early = new Map<number, number>()

  constructor(setting: ViewSetting) {
    super({ ...setting, publish: () => setting.publish(this.early) })
    this.sources = setting.sources
  }
  override begin(): void {
    super.begin()
    for (const { id, memory } of this.sources) this.early.set(id, memory.loadReleased())
  }
}

/** Sends what is missing as soon as it has begun anew itself. */
class RebuiltNotAwaited extends ViewMember {
  protected override haveAllRebuilt(): boolean {
    return true
  }
}

class NumberingEarly extends ViewChanges {
  private readonly board: Board

  constructor(setting: ViewSetting) {
    super(setting)
    this.board = setting.board
  }
  protected override allDone(): boolean {
    return (this.board.loadView() & 3) === PHASE_RESTORE || super.allDone()
  }
}

/** Goes on as soon as the others have stopped, though one that was told to end may still run. */
class EndNotAwaited extends ViewChanges {
  protected override isEndAwaited(): boolean {
    return false
  }
}

class RestoreLeftOut extends Restore {
  protected override decide(rule: HolderRule, address: number): void {
    if ((address >>> 3) % 29 !== 0) super.decide(rule, address)
  }
}

const EVERYBODY = { value: { low: -1, high: -1 } }

class HoldersOfOlderView extends Restore {
  protected override decide(rule: HolderRule, address: number): void {
    super.decide(Object.create(rule, { members: EVERYBODY, surviving: EVERYBODY }) as HolderRule, address)
  }
}

class NotKept extends Restore {
  override keep(): void {}
}

/** Believes that every view stood whose copies it was given. */
class MovedKeptTooEarly extends ViewMember {
  constructor(place: Place, parts: Partial<ComponentParts>, firstSet?: number) {
    const board = Object.create(place.board, { loadStood: { value: () => Number.MAX_SAFE_INTEGER } }) as Board
    super({ ...place, board }, parts, firstSet)
  }
}

/** Sends no copy, and takes it for held at once. */
class MirrorsNothing extends OutLink {
  override sendCopy(): number {
    return (this.noted - 1) | 0
  }
}

class JoinMirrorsNothing extends ViewMember {
  constructor(place: Place, parts: Partial<ComponentParts>, firstSet?: number) {
    super(place, firstSet === undefined ? { ...parts, outLink: MirrorsNothing } : parts, firstSet)
  }
}

const NOT_CUT_BACK: typeof cutBack = (setting, held, secured, _final, remaining) =>
  cutBack(setting, held, secured, new Map(), remaining)

const NOT_REWOUND: typeof SourceIntake.resume = (id, memory, mirrors, _acknowledged, forming) =>
  SourceIntake.resume(id, memory, mirrors, memory.loadPublished(), forming)

export const VIEW_VARIANTS: readonly Variant[] = [
  {
    name: 'no-freeze',
    breaks: 'a member answers that it has stopped, and goes on taking and acknowledging until it rebuilds',
    member: NoFreeze
  },
  {
    name: 'marks-not-awaited',
    breaks: 'acknowledged positions are called final before everybody has stopped',
    views: MarksNotAwaited
  },
  {
    name: 'end-not-awaited',
    breaks: 'acknowledged positions are called final while a component that was told to end may still run',
    views: EndNotAwaited
  },
  {
    name: 'rebuilt-not-awaited',
    breaks: 'copies are sent to members that have not begun anew for the view yet',
    member: RebuiltNotAwaited
  },
  {
    name: 'numbering-early',
    breaks: 'taking resumes before what is handed over and restored has arrived',
    views: NumberingEarly
  },
  { name: 'not-cut-back', breaks: 'nothing is cut back when a view changes', parts: { cutBack: NOT_CUT_BACK } },
  {
    name: 'not-rewound',
    breaks: 'sources are not taken again from their acknowledged positions when a view changes',
    parts: { resume: NOT_REWOUND }
  },
  {
    name: 'restore-left-out',
    breaks: 'a few copies are not restored after a death',
    parts: { restore: RestoreLeftOut }
  },
  {
    name: 'holders-of-older-view',
    breaks: 'copies in slots whose component died or began empty are counted as held',
    parts: { restore: HoldersOfOlderView }
  },
  {
    name: 'not-kept',
    breaks: 'the holders named in the copies are not changed when the view stands',
    parts: { restore: NotKept }
  },
  {
    name: 'moved-kept-too-early',
    breaks: 'copies that were moved by a view that did not stand are kept',
    member: MovedKeptTooEarly
  },
  {
    name: 'join-mirrors-nothing',
    breaks: 'a component that joined later does not mirror what it takes, yet counts as if it did',
    member: JoinMirrorsNothing
  },
  {
    name: 'late-publication',
    breaks: 'a component that is taken for failed is not ended, and goes on publishing into memory that is not its own',
    unfenced: true
  }
]
