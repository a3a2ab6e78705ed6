//! What is missing, doubled or wrong is told by the place that gave it.

use super::*;

#[test]
fn what_is_missing_is_named_with_the_ways_to_give_it() {
    let base = Case::minimal;
    base().without("--source").refused(
        "no input (folder or bucket that holds `data/`): give `--source`, `OCP_ROLLUP_SOURCE` in the environment or `input.source` in \
         the config file, or a bucket: `S3_BUCKET_NAME` in the environment or `s3.bucket` in the \
         config file",
    );
    base().without("--org-id").refused(
        "no org id for the paths: give `--org-id`, `ORG_ID` in the environment or \
         `organization.org_id` in the config file",
    );
    base().without("--provider-uuid").without(A).refused(
        "no provider UUID (whose usage to roll up): give `--provider-uuid`, `OCP_PROVIDER_UUID` in the environment or \
         `ocp.provider_uuid` in the config file",
    );
    base().without("--org-id").flags(&["--layout=d/{type}/{uuid}/"]).refused(
        "no schema of the tenant: give `--schema`, `POSTGRES_SCHEMA` in the environment or \
         `postgresql.schema` in the config file",
    );
    let ways = "give both `--from` and `--to`, or `ocp.year` and `ocp.month` in the config file";
    base().without("--from").refused(&format!("no first day: {ways}"));
    base().without("--to").refused(&format!("no last day: {ways}"));
    base().without("--from").without("--to").refused(&format!("no range of days: {ways}"));
}

#[test]
fn schema_and_org_id_stand_in_for_each_other() {
    let settings = Case::minimal().without("--org-id").flags(&["--schema=acct10001"]).ok();
    assert_eq!(settings.input.org_id, "acct10001");
    assert_eq!(Case::minimal().ok().postgres.schema, "org1");
    Case::minimal().without("--org-id").flags(&["--org-id=1234567"]).refused(
        "`--org-id` is `1234567`, but must be the schema of the tenant, like `org1234567`: \
         lower-case letters, digits and `_`, beginning with a letter, at most 63; give `--schema` \
         if it is not the org id",
    );
}

#[test]
fn without_a_database_its_settings_are_not_needed() {
    let case = Case::minimal()
        .without("--org-id")
        .flags(&["--org-id=1234567", "--lookups=/lookups", "--sink=csv:out.csv"])
        .file("postgresql: {password: '${NOT_SET}', host: '${NOT_SET}'}\n");
    let settings = case.ok();
    assert_eq!(settings.lookups, LookupsFrom::Directory("/lookups".into()));
    assert_eq!(settings.sink, SinkTo::Csv("out.csv".into()));
    assert_eq!(settings.postgres.password, None);
    case.without("--lookups").without("--org-id").flags(&["--org-id=org1"]).refused(
        "c.yaml: `postgresql.host` uses the environment variable NOT_SET, which is not set; set \
         it, or write ${NOT_SET:-default}",
    );
}

#[test]
fn placeholders_of_the_file() {
    let case = |text: &str| Case::minimal().file(text).env(&[("PORT", "77")]);
    assert_eq!(case("postgresql: {port: '${PORT:-1}'}").ok().postgres.port, 77);
    assert_eq!(case("postgresql: {port: '${OTHER:-1}'}").ok().postgres.port, 1);
    case("postgresql: {port: '${PORT'}").refused(
        "c.yaml: `postgresql.port` holds a placeholder that cannot be read: a `}` is missing; \
         write ${NAME} or ${NAME:-default}, and $${ for a literal ${",
    );
    // Not needed, so not missed.
    let settings = case("ocp: {provider_uuid: '${OCP_PROVIDER}'}").ok();
    assert_eq!(settings.provider_uuids.len(), 1);
}

#[test]
fn each_error_names_who_gave_the_value() {
    let base = Case::minimal;
    base()
        .flags(&["--chunk-rows=0"])
        .refused("`--chunk-rows` is `0`, but must be `auto` or a number of rows, at least 1");
    base().env(&[("OCP_ROLLUP_THREADS", "x")]).refused(
        "the environment variable OCP_ROLLUP_THREADS is `x`, but must be `auto` or a number of \
         threads from 1 to 4096",
    );
    base()
        .file("performance: {use_streaming: 7}")
        .refused("`performance.use_streaming` in c.yaml is `7`, but must be `on` or `off`");
    base().file("aggregation: {pod_source: weekly}").refused(
        "`aggregation.pod_source` in c.yaml is `weekly`, but must be one of `hourly`, `daily`",
    );
}

#[test]
fn two_names_for_one_thing_are_refused() {
    Case::minimal().file("performance: {memory_limit: 1GiB, max_memory_gb: 1}").refused(
        "`performance.memory_limit` in c.yaml and `performance.max_memory_gb` are both set; remove \
         one of them",
    );
    Case::minimal()
        .file("input: {layout: koku}\nocp: {parquet_path_pod: 'a/{provider_uuid}'}")
        .refused(
            "`input.layout` in c.yaml and `ocp.parquet_path_…` are both set; remove one of them",
        );
    let settings = Case::minimal().file("performance: {max_memory_gb: 1.5}").ok();
    assert_eq!(settings.performance.memory_limit, Some(3 << 29));
}
