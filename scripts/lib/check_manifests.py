"""What no schema knows of the rendered manifests given as arguments.

The number of shards is the number of indexes, nothing that can be restricted is not, and both workloads run
the same pod but for its arguments, its shard and its size.
"""

import sys

import yaml


def pod_spec(resource):
    spec = resource["spec"]
    if resource["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"]["spec"]


def main(paths):
    faults, pods = [], []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            resources = [r for r in yaml.safe_load_all(file) if r["kind"] in ("Job", "CronJob")]
        for resource in resources:
            spec = pod_spec(resource)
            (container,) = spec["containers"]
            environment = {e["name"]: e.get("value") for e in container["env"]}

            def expect(true, text):
                if not true:
                    faults.append(f"{path}: {text}")

            if resource["kind"] == "Job":
                shards = environment.pop("OCP_ROLLUP_SHARD_COUNT", None)
                expect(shards == str(resource["spec"]["completions"]), "OCP_ROLLUP_SHARD_COUNT is not `completions`")
            restrictions = container["securityContext"]
            expect(spec["securityContext"].get("runAsNonRoot") is True, "may run as root")
            expect(restrictions.get("readOnlyRootFilesystem") is True, "the root file system can be written")
            expect(restrictions.get("allowPrivilegeEscalation") is False, "privileges can grow")
            expect(restrictions["capabilities"].get("drop") == ["ALL"], "keeps capabilities")
            resources_ = container["resources"]
            expect(resources_["limits"]["memory"] == resources_["requests"]["memory"], "memory is not reserved")
            expect("cpu" in resources_["limits"], "as many threads as the node has processors")
            mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
            expect(set(mounts) == {v["name"] for v in spec["volumes"]}, "a volume is not mounted, or a mount has none")
            pods.append((path.rsplit("/", 1)[-1].split("-", 1)[-1], environment, mounts, restrictions, spec["securityContext"]))

    by_variant = {}
    for variant, *pod in pods:
        if by_variant.setdefault(variant, pod) != pod:
            faults.append(f"{variant}: the two workloads run different pods")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(pods)} rendered workloads checked, {len(faults)} faults")
    return 1 if faults or not pods else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
