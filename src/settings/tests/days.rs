//! Days, months, and what several of them exclude.

use super::*;

#[test]
fn a_month_gives_the_days_that_are_not_given() {
    let file = "ocp: {year: 2025, month: '08'}";
    let base = || Case::minimal().without("--from").without("--to").file(file);
    let range = |case: Case| {
        let s = case.ok();
        format!("{} {}", s.from, s.to)
    };
    assert_eq!(range(base()), "2025-08-01 2025-08-31");
    assert_eq!(range(base().flags(&["--from=2025-08-30"])), "2025-08-30 2025-08-31");
    assert_eq!(range(base().flags(&["--to=2025-08-02"])), "2025-08-01 2025-08-02");
    // A range of flags needs no month.
    assert_eq!(range(base().flags(&["--from=-40d", "--to=yesterday"])), "2025-10-01 2025-11-09");
    assert_eq!(
        range(base().env(&[("OCP_ROLLUP_FROM", "2025-09-01"), ("OCP_ROLLUP_TO", "2025-09-02")])),
        "2025-09-01 2025-09-02"
    );
}

#[test]
fn days_and_month_must_agree() {
    let base = || Case::minimal().without("--from").without("--to");
    base()
        .file("ocp: {year: 2025, month: 8, start_date: 2025-08-01, end_date: 2025-09-02}")
        .refused(
            "`ocp.end_date` in c.yaml is 2025-09-02, outside 2025-08 of `ocp.year` in c.yaml and \
         `ocp.month` in c.yaml; make them agree, or give both `--from` and `--to`, which beat them",
        );
    base().file("ocp: {year: 2025, month: 8}").flags(&["--from=2025-07-01"]).refused(
        "`--from` is 2025-07-01, outside 2025-08 of `ocp.year` in c.yaml and `ocp.month` in \
         c.yaml; make them agree, or give both `--from` and `--to`, which beat them",
    );
    base().file("ocp: {year: 2025}").refused(
        "`ocp.year` in c.yaml is set but no month: give `OCP_MONTH` in the environment or \
         `ocp.month` in the config file too, or remove it",
    );
    base().env(&[("OCP_MONTH", "8")]).refused(
        "the environment variable OCP_MONTH is set but no year: give `OCP_YEAR` in the environment \
         or `ocp.year` in the config file too, or remove it",
    );
    base()
        .file("ocp: {year: 2025, month: 13}")
        .refused("`ocp.month` in c.yaml is `13`, but must be a month from 1 to 12");
    base()
        .file("ocp: {year: twenty, month: 1}")
        .refused("`ocp.year` in c.yaml is `twenty`, but must be a year such as `2025`");
}

#[test]
fn reversed_days_are_refused() {
    Case::minimal().without("--to").env(&[("OCP_ROLLUP_TO", "2025-09-30")]).refused(
        "the range is reversed: `--from` is 2025-10-01, after the environment variable \
         OCP_ROLLUP_TO, which is 2025-09-30; swap them",
    );
    Case::minimal().without("--to").flags(&["--to=31.10.2025"]).refused(
        "`--to` is `31.10.2025`, but must be a day such as `2025-10-31`, or `today`, `yesterday` \
         or `-3d` (three days ago)",
    );
}

#[test]
fn what_is_of_one_source_or_month_is_refused_for_several() {
    let two = || Case::minimal().flags(&["--provider-uuid", B]);
    Case::minimal().without("--from").flags(&["--from=2025-08-31", "--report-period-id=7"]).refused(
        "`--report-period-id` names one report period, but 2025-08-31 to 2025-10-31 spans 3 months \
         and each month is a report period of its own; remove it to have them looked up, or run \
         month by month",
    );
    let one_for_many = |what: &str| {
        format!(
            "names one {what}, but 2 sources are asked and each has its own; remove it to have \
             them looked up, or run source by source"
        )
    };
    two()
        .flags(&["--report-period-id=7"])
        .refused(&format!("`--report-period-id` {}", one_for_many("report period")));
    two()
        .file("ocp: {cluster_id: c}")
        .refused(&format!("`ocp.cluster_id` in c.yaml {}", one_for_many("cluster id")));
    two().env(&[("OCP_CLUSTER_ALIAS", "c")]).refused(&format!(
        "the environment variable OCP_CLUSTER_ALIAS {}",
        one_for_many("cluster alias")
    ));
    // The same source twice is one.
    let settings = Case::minimal().flags(&["--provider-uuid", A, "--report-period-id=7"]).ok();
    assert_eq!((settings.provider_uuids.len(), settings.report_period_id), (1, Some(7)));
}
