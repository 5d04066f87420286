# nomad job run packaging/nomad/wagi.nomad.hcl
job "wagi" {
  type = "service"

  # One replica after the other; a version that does not become ready is taken back.
  update {
    max_parallel     = 1
    health_check     = "checks"
    min_healthy_time = "5s"
    healthy_deadline = "3m"
    auto_revert      = true
  }

  group "wagi" {
    count = 3

    spread {
      attribute = "${node.unique.id}"
    }

    network {
      port "http" {
        to = 3000
      }
      port "admin" {
        to = 9901
      }
    }

    service {
      name     = "wagi"
      provider = "nomad"
      port     = "http"

      check {
        type     = "http"
        port     = "admin"
        path     = "/readyz"
        interval = "2s"
        timeout  = "2s"
      }
    }

    task "wagi" {
      driver = "docker"
      # `shutdown_delay` and `shutdown_grace` below, and the last lines of the log. A client of Nomad allows 30 s unless it is told otherwise.
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        image           = "registry.example.com/wagi:0.9.0"
        args            = ["serve", "--config", "/local/modules.toml", "--watch", "--log-format", "json"]
        ports           = ["http", "admin"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]

        mount {
          type   = "tmpfs"
          target = "/var/cache/wagi"
        }
        mount {
          type   = "tmpfs"
          target = "/tmp"
        }
      }

      # A change is a reload: `--watch` notices it.
      template {
        destination = "local/modules.toml"
        change_mode = "noop"
        data        = <<-EOT
          [server]
          listen = ["0.0.0.0:3000"]
          shutdown_delay = "5s"

          [admin]
          listen = "0.0.0.0:9901"
          token_file = "/secrets/admin.token"

          [limits]
          total_concurrency = 24
          memory = "64MiB"
          shutdown_grace = "18s"

          [[module]]
          route = "/..."
          module = "oci:registry.example.com/hello@sha256:0000000000000000000000000000000000000000000000000000000000000000"
        EOT
      }

      # nomad var put nomad/jobs/wagi admin_token=...
      template {
        destination = "secrets/admin.token"
        change_mode = "noop"
        perms       = "0444"
        data        = "{{ with nomadVar \"nomad/jobs/wagi\" }}{{ .admin_token }}{{ end }}"
      }

      resources {
        cpu        = 1000
        memory     = 512
        memory_max = 2048
      }
    }
  }
}
