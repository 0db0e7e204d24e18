{{/* The labels of one kind of worker: (dict "root" $ "kind" "journeys") */}}
{{- define "parcours.selector" -}}
app.kubernetes.io/name: parcours
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .kind }}
{{- end }}

{{- define "parcours.labels" -}}
{{ include "parcours.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "parcours.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What every pod says of itself. */}}
{{- define "parcours.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every container says: image, security, environment. */}}
{{- define "parcours.container" -}}
image: {{ include "parcours.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - {name: KAFKA_BOOTSTRAP, value: {{ .Values.kafka.bootstrap | quote }}}
  - {name: PARCOURS_SECRET_FILE, value: /run/secrets/parcours/secret}
  - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  {{- range $name, $value := .Values.kafka.environment }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
{{- end }}

{{/* Metrics and probes. A worker that opens many partitions may be long in getting ready, and is alive meanwhile. */}}
{{- define "parcours.probes" -}}
ports:
  - {name: metrics, containerPort: {{ .Values.metricsPort }}}
livenessProbe:
  httpGet: {path: /livez, port: metrics}
  initialDelaySeconds: 10
  periodSeconds: 5
  timeoutSeconds: 3
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end }}

{{- define "parcours.metrics-arguments" -}}
- --metrics-host
- 0.0.0.0
- --metrics-port
- {{ .Values.metricsPort | quote }}
{{- with .Values.prefix }}
- --prefix
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "parcours.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: secret, mountPath: /run/secrets/parcours, readOnly: true}
{{- if .Values.kafka.secretName }}
- {name: kafka-secret, mountPath: /run/secrets/kafka, readOnly: true}
{{- end }}
{{- end }}

{{- define "parcours.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 256Mi}}
- name: secret
  secret: {secretName: {{ .Values.secretName | quote }}, defaultMode: 0440}
{{- if .Values.kafka.secretName }}
- name: kafka-secret
  secret: {secretName: {{ .Values.kafka.secretName | quote }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "parcours.annotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .Values.metricsPort | quote }}
{{- end }}
