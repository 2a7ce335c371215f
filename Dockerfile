# The one image: operator CLI, worker, producer, auditor and fake gateway, no shell, not root.
#
#   docker build -t tapline:local .
#
# Built and run on the same Debian release, so that the C library matches. Releases pin both bases
# by digest.

FROM rust:1.95-bookworm AS build
WORKDIR /src

# Dependencies first, against empty stand-ins for whatever files the manifest names: this layer is
# built again only when the manifest or the lock file changes.
COPY Cargo.toml Cargo.lock ./
RUN set -eu; \
    { sed -n 's/^path = "\(.*\.rs\)"$/\1/p' Cargo.toml; \
      awk '/^\[\[bench\]\]/ { kind = "benches" } /^\[\[test\]\]/ { kind = "tests" } \
           /^\[/ && !/^\[\[(bench|test)\]\]/ { kind = "" } \
           kind && /^name = / { gsub(/"/, "", $3); print kind "/" $3 ".rs" }' Cargo.toml; \
    } | while read -r file; do mkdir -p "$(dirname "$file")"; echo 'fn main() {}' > "$file"; done; \
    mkdir -p src; : > src/lib.rs; \
    cargo build --release --locked --features tls --bins; \
    rm -rf src benches tests

COPY . .
# Copied files may be older than the stand-ins' build; touched, they are surely compiled.
RUN set -eu; \
    find src -name '*.rs' -exec touch {} +; \
    cargo build --release --locked --features tls --bins; \
    mkdir -p /out/bin; \
    for name in tapline tapline-worker tapline-producer tapline-auditor \
                tapline-fake-gateway; do \
      cp "target/release/$name" /out/bin/; \
    done

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="tapline" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY --from=build /out/bin/ /usr/local/bin/
COPY rules/ /app/rules/
ENV PATH=/usr/local/bin:/usr/bin:/bin
EXPOSE 9464 8080
CMD ["tapline", "--help"]
