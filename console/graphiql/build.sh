#!/usr/bin/env bash
# Builds graphiql.js.gz and graphiql.css.gz from the packages of the npm registry, all under the MIT
# licence. They are kept in the repository, so that neither building nor running Jobcast needs Node
# or a network.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --prefix "$work" --no-audit --no-fund --no-save \
    graphiql@4.1.2 react@18.3.1 react-dom@18.3.1 graphql-ws@5.16.2 graphql@16.11.0
packages="$work/node_modules"
for file in react/umd/react.production.min.js react-dom/umd/react-dom.production.min.js \
    graphql-ws/umd/graphql-ws.min.js graphiql/graphiql.min.js; do
    grep -v '^//# sourceMappingURL' "$packages/$file"
    echo
done | gzip -9 -n > graphiql.js.gz
gzip -9 -n < "$packages/graphiql/graphiql.min.css" > graphiql.css.gz
for package in graphiql react react-dom graphql-ws graphql; do
    printf '== %s %s\n\n' "$package" "$(node -p "require('$packages/$package/package.json').version")"
    cat "$packages/$package"/LICENSE*
    echo
done > LICENSES
