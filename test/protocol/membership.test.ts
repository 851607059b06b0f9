/** Who is to be a member: what is done when a component ends, is asked for, or shall go. */
import { describe, expect, test } from 'vitest'
import { MembershipStage } from './membership-stage.ts'

describe('R16: a component ends, and a spare is warm', () => {
  test('it takes the slot; the view goes on when it is ready; nothing follows when the view stands', () => {
    const stage = new MembershipStage()
    const { membership } = stage
    stage.spares = 1
    membership.ended(1)
    expect(stage.asked).toEqual(['failed 1, replaced', 'start 1'])
    expect(membership.isSteady(1)).toBe(false)
    membership.step()
    expect(stage.asked).toEqual([])
    membership.started(1)
    expect(stage.asked).toEqual(['ready 1'])
    expect(membership.isSteady(1)).toBe(true)
    stage.stand()
    expect(stage.asked).toEqual([])
  })

  test('the replacement never starts: the others take over; no other spare is tried in its place; a join follows', () => {
    const stage = new MembershipStage()
    const { membership } = stage
    stage.spares = 5
    membership.ended(1)
    expect(stage.asked).toEqual(['failed 1, replaced', 'start 1'])
    membership.ended(1)
    expect(stage.asked).toEqual(['failed 1'])
    expect(stage.members).toEqual([0, 2])
    membership.step()
    expect(stage.asked).toEqual([])
    stage.stand()
    expect(stage.asked).toEqual(['start 1'])
    membership.started(1)
    expect(stage.asked).toEqual(['join 1'])
  })

  test('the replacement has started and ends: that is another failure, and another spare takes the slot', () => {
    const stage = new MembershipStage()
    const { membership } = stage
    stage.spares = 2
    membership.ended(1)
    membership.started(1)
    expect(stage.asked).toEqual(['failed 1, replaced', 'start 1', 'ready 1'])
    membership.ended(1)
    expect(stage.asked).toEqual(['failed 1, replaced', 'start 1'])
  })
})

describe('R16: a component ends, and the survivors take over', () => {
  test.each([
    { what: 'no spare is warm', takeover: 'spare' as const, spares: 0 },
    { what: 'spares are not to be used for that', takeover: 'survivors' as const, spares: 3 }
  ])('$what: a join follows when the view stands, not before', ({ takeover, spares }) => {
    const stage = new MembershipStage({ takeover })
    const { membership } = stage
    stage.spares = spares
    membership.ended(0)
    expect(stage.asked).toEqual(['failed 0'])
    membership.step()
    expect(stage.asked).toEqual([])
    stage.stand()
    expect(stage.asked).toEqual(['start 0'])
    expect(membership.isJoining(0)).toBe(true)
    // It is on its way: once is enough.
    membership.step()
    expect(stage.asked).toEqual([])
    membership.started(0)
    expect(stage.asked).toEqual(['join 0'])
    expect(membership.isJoining(0)).toBe(false)
    stage.stand()
    expect(stage.asked).toEqual([])
  })

  test('several at once: as many join as are missing', () => {
    const stage = new MembershipStage({ takeover: 'survivors', components: 4 })
    stage.membership.ended(3)
    stage.membership.ended(1)
    expect(stage.asked).toEqual(['failed 3', 'failed 1'])
    stage.stand()
    expect(stage.asked).toEqual(['start 1', 'start 3'])
  })

  test('one that was to join never starts: no view was concerned; it is tried again', () => {
    const stage = new MembershipStage({ takeover: 'survivors' })
    const { membership } = stage
    membership.ended(2)
    stage.stand()
    expect(stage.asked).toEqual(['failed 2', 'start 2'])
    membership.ended(2)
    expect(stage.asked).toEqual([])
    membership.step()
    expect(stage.asked).toEqual(['start 2'])
  })

  test('a joined one ends again: it was a member', () => {
    const stage = new MembershipStage({ takeover: 'survivors' })
    const { membership } = stage
    membership.ended(2)
    stage.stand()
    membership.started(2)
    expect(stage.asked).toEqual(['failed 2', 'start 2', 'join 2'])
    membership.ended(2)
    expect(stage.asked).toEqual(['failed 2'])
  })
})

describe('the last component ends', () => {
  test.each(['spare', 'survivors'] as const)('it is replaced, with a warm spare or without (%s)', (takeover) => {
    const stage = new MembershipStage({ components: 1, mirrors: 0, takeover })
    stage.membership.ended(0)
    expect(stage.asked).toEqual(['failed 0, replaced', 'start 0'])
    stage.membership.started(0)
    expect(stage.asked).toEqual(['ready 0'])
  })

  test('its replacement never starts: it is tried again, in the same change of view', () => {
    const stage = new MembershipStage({ components: 1, mirrors: 0 })
    stage.membership.ended(0)
    expect(stage.asked).toEqual(['failed 0, replaced', 'start 0'])
    stage.membership.ended(0)
    expect(stage.asked).toEqual(['start 0'])
  })

  test('all of them at once: the last one is replaced, the others join when that view stands', () => {
    const stage = new MembershipStage({ takeover: 'survivors' })
    for (const slot of [1, 0, 2]) stage.membership.ended(slot)
    expect(stage.asked).toEqual(['failed 1', 'failed 0', 'failed 2, replaced', 'start 2'])
    stage.membership.started(2)
    stage.stand()
    expect(stage.asked).toEqual(['ready 2', 'start 0', 'start 1'])
  })

  test('one whose replacement is on its way counts as gone, so the one beside it is replaced too', () => {
    const stage = new MembershipStage({ components: 2 })
    stage.spares = 1
    stage.membership.ended(0)
    stage.membership.ended(1)
    expect(stage.asked).toEqual(['failed 0, replaced', 'start 0', 'failed 1, replaced', 'start 1'])
  })
})

describe('R15: one more is asked for', () => {
  test('it comes into the first empty slot, when no view is changing', () => {
    const stage = new MembershipStage()
    const { membership } = stage
    stage.stands = false
    expect(membership.add()).toBe(true)
    membership.step()
    expect(stage.asked).toEqual([])
    stage.stand()
    expect(stage.asked).toEqual(['start 3'])
    membership.started(3)
    expect(stage.asked).toEqual(['join 3'])
  })

  test('as many as there are slots, and no more', () => {
    const stage = new MembershipStage()
    const { membership } = stage
    expect([membership.add(), membership.add(), membership.add()]).toEqual([true, true, false])
    membership.step()
    expect(stage.asked).toEqual(['start 3', 'start 4'])
    expect(membership.add()).toBe(false)
  })

  test('after failures the group goes back to the number that is wanted now', () => {
    const stage = new MembershipStage({ takeover: 'survivors' })
    const { membership } = stage
    membership.add()
    membership.step()
    membership.started(3)
    stage.stand()
    expect(stage.asked).toEqual(['start 3', 'join 3'])
    membership.ended(0)
    membership.ended(3)
    stage.stand()
    expect(stage.asked).toEqual(['failed 0', 'failed 3', 'start 0', 'start 3'])
  })
})

describe('a component shall go', () => {
  /** Slot 1 shall go; nothing is given to it any more, and set 4 was forming then. */
  function leaving(setting: ConstructorParameters<typeof MembershipStage>[0] = {}): MembershipStage {
    const stage = new MembershipStage(setting)
    stage.securedSet = 2
    stage.formingSet = 4
    stage.membership.remove(1)
    expect(stage.asked).toEqual(['leave 1'])
    expect(stage.membership.isLeaving(1)).toBe(true)
    expect(stage.membership.isSteady(1)).toBe(false)
    stage.spared.add(1)
    stage.stand()
    return stage
  }

  test('it does when its sets are secured and no view is changing; nobody is brought in its place', () => {
    const stage = leaving()
    stage.secure(3)
    expect(stage.asked).toEqual([])
    stage.stands = false
    stage.secure(4)
    expect(stage.asked).toEqual([])
    stage.stands = true
    stage.membership.step()
    expect(stage.asked).toEqual(['end 1'])
    // Asked once.
    stage.membership.step()
    expect(stage.asked).toEqual([])
    stage.membership.ended(1)
    expect(stage.asked).toEqual(['failed 1'])
    expect(stage.membership.isLeaving(1)).toBe(false)
    stage.stand()
    expect(stage.asked).toEqual([])
    expect(stage.members).toEqual([0, 2])
  })

  test('before the view stands it is not spared: what is secured meanwhile does not count', () => {
    const stage = new MembershipStage()
    stage.membership.remove(1)
    stage.spared.add(1)
    stage.secure(100)
    expect(stage.asked).toEqual(['leave 1'])
    stage.stand()
    expect(stage.asked).toEqual([])
    stage.secure(101)
    expect(stage.asked).toEqual(['end 1'])
  })

  test('it stays while too few others are there; when they are back its sets count anew', () => {
    const stage = leaving({ takeover: 'survivors' })
    stage.membership.ended(0)
    expect(stage.asked).toEqual(['failed 0'])
    // Of 1 and 2, mirrors+1 are needed: 1 is given things again.
    stage.spared.clear()
    stage.stand()
    expect(stage.asked).toEqual(['start 0'])
    stage.secure(9)
    expect(stage.asked).toEqual([])
    stage.membership.started(0)
    stage.spared.add(1)
    stage.stand()
    expect(stage.asked).toEqual(['join 0'])
    // It holds things of the set that was forming until then.
    stage.secure(9)
    expect(stage.asked).toEqual([])
    stage.secure(10)
    expect(stage.asked).toEqual(['end 1'])
  })

  test('it dies before: the others take over, though a spare is warm; nobody joins', () => {
    const stage = leaving()
    stage.spares = 1
    stage.membership.ended(1)
    expect(stage.asked).toEqual(['failed 1'])
    expect(stage.membership.isLeaving(1)).toBe(false)
    stage.stand()
    stage.secure(50)
    expect(stage.asked).toEqual([])
  })

  test('another one dies while it leaves: that one is replaced as always', () => {
    const stage = leaving()
    stage.spares = 1
    stage.membership.ended(2)
    expect(stage.asked).toEqual(['failed 2, replaced', 'start 2'])
    stage.membership.started(2)
    stage.stand()
    expect(stage.asked).toEqual(['ready 2'])
  })

  test('another one dies while its thread ends: with it on its way out, the last that stays is replaced', () => {
    const stage = leaving({ takeover: 'survivors' })
    stage.secure(4)
    expect(stage.asked).toEqual(['end 1'])
    stage.membership.ended(0)
    stage.membership.ended(2)
    expect(stage.asked).toEqual(['failed 0', 'failed 2, replaced', 'start 2'])
    stage.membership.ended(1)
    stage.membership.started(2)
    stage.comeToRest()
    expect(stage.members).toContain(2)
    expect(stage.members).toHaveLength(2)
  })

  test('all die, it last: it is replaced though it was to go, so that somebody is there; then one more joins', () => {
    const stage = leaving({ takeover: 'survivors' })
    for (const slot of [0, 2, 1]) stage.membership.ended(slot)
    expect(stage.asked).toEqual(['failed 0', 'failed 2', 'failed 1, replaced', 'start 1'])
    expect(stage.membership.isLeaving(1)).toBe(false)
    stage.membership.started(1)
    expect(stage.asked).toEqual(['ready 1'])
    stage.stand()
    expect(stage.asked).toEqual(['start 0'])
  })

  test('one more is asked for meanwhile: it comes at once, into another slot', () => {
    const stage = leaving()
    expect(stage.membership.add()).toBe(true)
    stage.membership.step()
    expect(stage.asked).toEqual(['start 3'])
  })

  test('one more is asked for and all slots are taken: it comes when the one that leaves is out', () => {
    const stage = leaving({ slots: 3 })
    expect(stage.membership.add()).toBe(true)
    stage.membership.step()
    expect(stage.asked).toEqual([])
    stage.secure(4)
    stage.membership.ended(1)
    stage.stand()
    expect(stage.asked).toEqual(['end 1', 'failed 1', 'start 1'])
    stage.membership.started(1)
    expect(stage.asked).toEqual(['join 1'])
    expect(stage.membership.isSteady(1)).toBe(true)
  })

  test('while it is on its way in: it comes, is given nothing, and goes; nobody is brought in its place', () => {
    const stage = new MembershipStage()
    const { membership } = stage
    membership.add()
    membership.step()
    membership.remove(3)
    expect(membership.shownState(3)).toBe('leaving')
    // A view that stands without it says nothing about what it holds.
    stage.spared.add(3)
    stage.stand()
    stage.secure(100)
    expect(stage.asked).toEqual(['start 3'])
    membership.started(3)
    expect(stage.asked).toEqual(['join 3', 'leave 3'])
    stage.stand()
    stage.secure(101)
    membership.ended(3)
    stage.stand()
    expect(stage.asked).toEqual(['end 3', 'failed 3'])
    expect(stage.members).toEqual([0, 1, 2])
  })

  test('while it is on its way in, and it never starts: that is all', () => {
    const stage = new MembershipStage()
    const { membership } = stage
    membership.add()
    membership.step()
    membership.remove(3)
    membership.ended(3)
    expect(membership.isLeaving(3)).toBe(false)
    membership.step()
    expect(stage.asked).toEqual(['start 3'])
    expect(membership.shownState(3)).toBe('empty')
  })

  test('only as long as mirrors+1 would remain', () => {
    const { membership } = new MembershipStage({ components: 4, mirrors: 2 })
    expect(membership.canRemove).toBe(true)
    membership.remove(3)
    expect(membership.canRemove).toBe(false)
    membership.add()
    expect(membership.canRemove).toBe(true)
  })
})
