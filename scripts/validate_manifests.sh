#!/usr/bin/env bash
# Holds deploy/kubernetes to the schemas of Kubernetes: both workloads in every size, with and without the CA
# bundle, rendered by kubectl or kustomize. Without either of those only the files as they stand are checked.
#
# KUBERNETES_VERSIONS   versions to check against; the oldest supported and the newest known without it
set -euo pipefail
cd "$(dirname "$0")/.."

versions=${KUBERNETES_VERSIONS:-1.31.0 1.35.0}
venv=${CARGO_TARGET_DIR:-target}/manifests-venv
if [[ ! -x $venv/bin/kubernetes-validate ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'kubernetes-validate>=1.35' PyYAML
fi

rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT

render() {
    if command -v kubectl >/dev/null; then
        kubectl kustomize "$1"
    else
        kustomize build "$1"
    fi
}

if command -v kubectl >/dev/null || command -v kustomize >/dev/null; then
    cp -r deploy/kubernetes "$rendered/tree"
    for workload in backfill daily; do
        file=$rendered/tree/$workload/kustomization.yaml
        for size in small medium large xlarge; do
            sed "s|components/small|components/$size|" "deploy/kubernetes/$workload/kustomization.yaml" >"$file"
            render "$rendered/tree/$workload" >"$rendered/$workload-$size.yaml"
            sed -i "s|^\( *- \)../components/$size|&\n\1../components/ca-bundle|" "$file"
            render "$rendered/tree/$workload" >"$rendered/$workload-$size-ca.yaml"
        done
    done
else
    echo "SKIPPED: sizes and CA bundle: neither kubectl nor kustomize is installed" >&2
    for workload in backfill/job daily/cronjob base/service-account; do
        cp "deploy/kubernetes/$workload.yaml" "$rendered/${workload//\//-}.yaml"
    done
fi

for version in $versions; do
    "$venv/bin/kubernetes-validate" --strict --quiet -k "$version" "$rendered"/*.yaml
done
"$venv/bin/python" scripts/lib/check_manifests.py "$rendered"/*.yaml
