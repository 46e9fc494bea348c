//! What comes after the Restore: self-heal that has to stay well, Velero that still writes, reminders, and how
//! long there is a way back.

use harbour::Setup;
use harbour::velero::Ending;
use harbour::world::Shape;
use jiff::SignedDuration;
use refloat::order::Order;
use refloat::request::resource::ReminderOf;
use refloat::request::{Phase, StuckReason, phase};

use crate::refloat::{FAST, Refloat, until};
use crate::world::World;

const REQUEST: &str =
    "restore request tenant:poseidon1 namespaces:dev schedule:daily reason:\"bad migration\"";

async fn world() -> anyhow::Result<World> {
    World::start(Setup {
        shape: Shape::small(),
        days_of_backups: 2,
        ..Setup::default()
    })
    .await
}

/// Asks for the restore, and has it approved.
async fn approved(world: &World, refloat: &mut Refloat) -> anyhow::Result<String> {
    let name = world.ask(refloat, REQUEST).await?;
    world.until_asked(&name).await?;
    refloat.say(&format!("as grace: approve {name}")).await?;
    Ok(name)
}

/// With self-heal on again, all has to stay well for as long as is configured: what is lost meanwhile begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_done_only_when_all_has_stayed_well() -> anyhow::Result<()> {
    let world = world().await?;
    let hold = SignedDuration::from_secs(6);
    let config = world.harbour.refloat_config(
        "approval: { coversResume: true }\npace: { pullRequests: 50ms, lookAgain: 20ms, holdWell: 6s }\n",
    )?;
    let mut refloat = Refloat::start(&config)?;
    let name = approved(&world, &mut refloat).await?;
    let well_since = || async {
        let request = world.requests().get(&name).await?;
        let status = request.status.unwrap_or_default();
        anyhow::ensure!(
            !phase(&status).is_over(),
            "it is {:?} already",
            phase(&status)
        );
        anyhow::Ok(status.well_since)
    };
    until(|| async { Ok(well_since().await?.is_some()) }).await?;

    // A commit whose sync does not end: the Application is not Synced any more.
    let namespace = world.harbour.namespaces.platform.clone();
    let application = world.here("poseidon1-dev-apps-files");
    let faults = &world.harbour.argocd.faults;
    faults.keep_operations_running(&namespace, &application);
    let extra = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: late\ndata:\n  title: late\n";
    world
        .harbour
        .platform
        .commit_manifests(
            &world.here("poseidon1"),
            "Add a setting",
            &[("dev/files/late.yaml".to_owned(), Some(extra.to_owned()))],
        )
        .await?;
    until(|| async { Ok(well_since().await?.is_none()) }).await?;
    faults.let_operations_end(&namespace, &application);
    let done = world.until_phase(&name, Phase::Done).await?;
    let status = done.status.unwrap_or_default();
    let held = status
        .resumed_at
        .zip(status.well_since)
        .map(|(end, since)| end.duration_since(since));
    assert!(held.is_some_and(|held| held >= hold), "{held:?}");
    refloat.stop().await?;
    world.end().await
}

/// While Velero still writes, self-heal does not come back under its hands, whoever asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn self_heal_does_not_come_back_while_velero_writes() -> anyhow::Result<()> {
    let world = world().await?;
    let config = world
        .harbour
        .refloat_config(&format!("{FAST}deadlines: {{ restoreStall: 1s }}\n"))?;
    let mut refloat = Refloat::start(&config)?;
    let faults = world.harbour.velero.faults();
    faults.stall_restores_at(1);
    let name = approved(&world, &mut refloat).await?;
    let request = world.until_phase(&name, Phase::Stuck).await?;
    let stuck = request.status.and_then(|status| status.stuck);
    assert_eq!(
        stuck.map(|stuck| stuck.reason),
        Some(StuckReason::RestoreStalled)
    );
    refloat
        .say(&format!("as grace: restore resume {name}"))
        .await?;
    refloat
        .until("Velero is still restoring, and cannot be stopped")
        .await?;
    let order = Order::read(&world.order("poseidon1").await?)?;
    assert!(
        !order.sync_policy.self_heal.value,
        "self-heal came back meanwhile"
    );
    faults.release_restores();
    let now = || async {
        let status = world.requests().get(&name).await?.status;
        anyhow::Ok(refloat::request::phase(&status.unwrap_or_default()))
    };
    // On a slow machine it may have stood still for too long once more before that.
    until(|| async {
        let now = now().await?;
        Ok(now == Phase::Stuck || now.is_over())
    })
    .await?;
    if now().await? == Phase::Stuck {
        refloat
            .say(&format!("as grace: restore resume {name}"))
            .await?;
    }
    world
        .until_phase_through_stuck(&name, Phase::ResumedAsIs)
        .await?;
    let order = Order::read(&world.order("poseidon1").await?)?;
    assert!(
        order.sync_policy.self_heal.value,
        "self-heal did not come back"
    );
    refloat.stop().await?;
    world.end().await
}

/// Who is to choose is reminded, ever more rarely.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_to_choose_is_reminded_at_growing_intervals() -> anyhow::Result<()> {
    let world = world().await?;
    let bound = SignedDuration::from_millis(150);
    let config = world
        .harbour
        .refloat_config(&format!("{FAST}deadlines: {{ selfHealReminder: 150ms }}\n"))?;
    let mut refloat = Refloat::start(&config)?;
    world
        .harbour
        .velero
        .faults()
        .end_next_restore(Ending::Failed("no such bucket".to_owned()));
    let name = approved(&world, &mut refloat).await?;
    let stuck = world.until_phase(&name, Phase::Stuck).await?;
    let at = stuck
        .status
        .and_then(|status| status.stuck)
        .map(|stuck| stuck.at);
    let at = at.expect("it is stuck");
    let reminders = || async {
        let request = world.requests().get(&name).await?;
        let status = request.status.unwrap_or_default();
        let all = status.reminders.into_iter();
        anyhow::Ok(
            all.filter(|reminder| reminder.about == ReminderOf::SelfHealOff)
                .map(|reminder| reminder.at)
                .collect::<Vec<_>>(),
        )
    };
    // Some that were due before it was stuck, and three more.
    until(|| async {
        Ok(reminders()
            .await?
            .iter()
            .filter(|reminded| **reminded > at)
            .count()
            >= 3)
    })
    .await?;
    let all = reminders().await?;
    for (index, pair) in all.windows(2).enumerate() {
        let pause = pair[1].duration_since(pair[0]);
        let least = bound * (1 << index);
        assert!(
            pause >= least,
            "{pause:?} after reminder {index}, and not {least:?}"
        );
    }
    refloat.until("Reminder: self-heal").await?;
    // A choice ends it.
    refloat
        .say(&format!("as grace: restore retry {name}"))
        .await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    refloat.stop().await?;
    world.end().await
}

/// Where self-heal was off before, Refloat has turned nothing off that it could remind of: whoever is to choose is
/// reminded of the question itself, ever more rarely, and no more once they have chosen.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_reminded_of_where_self_heal_was_off_before() -> anyhow::Result<()> {
    let world = world().await?;
    let order = world.order("poseidon1").await?;
    let off = order.replace("selfHeal: true", "selfHeal: false");
    assert_ne!(order, off);
    let platform = &world.harbour.platform;
    let tenant = world.here("poseidon1");
    platform
        .commit_order(&tenant, &off, "Turn self-heal off")
        .await?;
    until(|| async {
        let name = world.here("poseidon1-dev-apps-files");
        let application = world.application(&name).await?;
        Ok(application.data["spec"]["syncPolicy"]["automated"]["selfHeal"] == false)
    })
    .await?;
    let bound = SignedDuration::from_millis(150);
    let config = world
        .harbour
        .refloat_config(&format!("{FAST}deadlines: {{ selfHealReminder: 150ms }}\n"))?;
    let mut refloat = Refloat::start(&config)?;
    world
        .harbour
        .velero
        .faults()
        .end_next_restore(Ending::Failed("no such bucket".to_owned()));
    let name = approved(&world, &mut refloat).await?;
    let stuck = world.until_phase(&name, Phase::Stuck).await?;
    let stuck = stuck.status.and_then(|status| status.stuck);
    let at = stuck.expect("it is stuck").at;
    let reminders = || async {
        let status = world.requests().get(&name).await?.status;
        anyhow::Ok(status.unwrap_or_default().reminders)
    };
    until(|| async { Ok(reminders().await?.len() >= 3) }).await?;
    let mut last = at;
    for (index, reminder) in reminders().await?.iter().enumerate() {
        assert_eq!(reminder.about, ReminderOf::Stuck);
        let least = bound * (1 << index.saturating_sub(1));
        let pause = reminder.at.duration_since(last);
        assert!(pause >= least, "{pause:?} before reminder {index}");
        last = reminder.at;
    }
    refloat
        .until("is stuck, and a person has to choose how to go on")
        .await?;
    refloat.say(&format!("restore retry {name}")).await?;
    world.until_phase_through_stuck(&name, Phase::Done).await?;
    let chosen = world.requests().get(&name).await?.status;
    let chosen = chosen.unwrap_or_default();
    let at = chosen.last_choice_at().expect("somebody chose");
    assert!(chosen.reminders.iter().all(|reminder| reminder.at <= at));
    refloat.stop().await?;
    // What was off before is off now.
    assert_eq!(world.order("poseidon1").await?, off);
    world.end().await
}

/// The safety backup is kept for three days: until then there is a way back, and afterwards it is said that
/// there is none.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_way_back_once_the_safety_backup_has_expired() -> anyhow::Result<()> {
    let world = world().await?;
    let mut refloat = Refloat::start(&world.harbour.refloat_config(FAST)?)?;
    let name = approved(&world, &mut refloat).await?;
    let done = world.until_phase(&name, Phase::Done).await?;
    let safety = done
        .status
        .and_then(|status| status.safety_backup)
        .expect("there is one");
    let backups = world.velero("Backup", "backups");
    let live = backups.get(&safety.name).await?;
    let ttl = live.data.pointer("/spec/ttl").and_then(|ttl| ttl.as_str());
    assert_eq!(ttl, Some("72h0m0s"));
    let velero = &world.harbour.velero;
    let now = velero.clock().now();
    velero.advance(now + SignedDuration::from_hours(71)).await?;
    assert!(backups.get_opt(&safety.name).await?.is_some());
    velero.advance(now + SignedDuration::from_hours(74)).await?;
    until(|| async { Ok(backups.get_opt(&safety.name).await?.is_none()) }).await?;
    let order = world.order("poseidon1").await?;
    let before = world.harbour.platform.snapshot().await?;
    let from = refloat.shown().len();
    refloat.say(&format!("restore undo {name}")).await?;
    refloat
        .until_after(from, &format!("There is no backup {}", safety.name))
        .await?;
    refloat.stop().await?;
    world.check_untouched(&before, &order).await?;
    world.end().await
}
