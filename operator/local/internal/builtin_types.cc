#include "operator/local/internal/builtin_types.h"

#include <string>

namespace millrace::local {

namespace {

constexpr std::string_view meta_types = R"(
ObjectMeta
  annotations {}string | Free text by key; tools keep notes here.
  creationTimestamp time | When the object was made.
  deletionGracePeriodSeconds int
  deletionTimestamp time | Set once deletion was asked for.
  finalizers []string set | The object stays until this list is empty.
  generateName string
  generation int | Counts changes of the desired state.
  labels {}string | Keys and values that selectors match.
  managedFields []ManagedFieldsEntry atomic
  name string | Unique among the kind in its namespace.
  namespace string
  ownerReferences []OwnerReference key=uid | The object goes when all its owners are gone.
  resourceVersion string | Changes with each write.
  selfLink string
  uid string | Unique over time.
ManagedFieldsEntry
  apiVersion string
  fieldsType string
  fieldsV1 any
  manager string
  operation string
  subresource string
  time time
OwnerReference
  apiVersion string !
  blockOwnerDeletion bool
  controller bool
  kind string !
  name string !
  uid string !
LabelSelector
  matchLabels {}string
  matchExpressions []LabelSelectorRequirement atomic
LabelSelectorRequirement
  key string !
  operator string !
  values []string atomic
Condition
  type string !
  status string !
  reason string
  message string
  lastTransitionTime time
  lastProbeTime time
  lastHeartbeatTime time
  lastUpdateTime time
  observedGeneration int
LocalObjectReference
  name string
ObjectReference
  apiVersion string
  fieldPath string
  kind string
  name string
  namespace string
  resourceVersion string
  uid string
)";

constexpr std::string_view pod_types = R"(
Pod v1 Pod | Containers that run together on one node.
  apiVersion string
  kind string
  metadata ObjectMeta
  spec PodSpec | What is wanted.
  status PodStatus | What is seen.
PodSpec
  activeDeadlineSeconds int
  affinity any
  automountServiceAccountToken bool
  containers []Container ! key=name | At least one.
  dnsConfig any
  dnsPolicy string
  enableServiceLinks bool
  ephemeralContainers []Container key=name
  hostAliases []any key=ip
  hostIPC bool
  hostNetwork bool
  hostPID bool
  hostUsers bool
  hostname string
  imagePullSecrets []LocalObjectReference key=name
  initContainers []Container key=name
  nodeName string | The node it is bound to.
  nodeSelector {}string | Labels that the node must have.
  os any
  overhead {}quantity
  preemptionPolicy string
  priority int
  priorityClassName string
  readinessGates []any atomic
  restartPolicy string | Always, OnFailure or Never.
  runtimeClassName string
  schedulerName string
  schedulingGates []any key=name
  securityContext any
  serviceAccount string
  serviceAccountName string
  setHostnameAsFQDN bool
  shareProcessNamespace bool
  subdomain string
  terminationGracePeriodSeconds int | Seconds between asking to stop and the end.
  tolerations []any atomic
  topologySpreadConstraints []TopologySpreadConstraint key=topologyKey,whenUnsatisfiable
  volumes []Volume key=name
TopologySpreadConstraint
  labelSelector LabelSelector
  matchLabelKeys []string atomic
  maxSkew int !
  minDomains int
  nodeAffinityPolicy string
  nodeTaintsPolicy string
  topologyKey string !
  whenUnsatisfiable string !
Container
  args []string atomic
  command []string atomic
  env []EnvVar key=name
  envFrom []EnvFromSource atomic
  image string
  imagePullPolicy string
  lifecycle any
  livenessProbe Probe | Restarts the container when it fails.
  name string !
  ports []ContainerPort key=containerPort,protocol
  readinessProbe Probe | Says whether services may send traffic.
  resizePolicy []any atomic
  resources ResourceRequirements
  restartPolicy string
  securityContext any
  startupProbe Probe
  stdin bool
  stdinOnce bool
  targetContainerName string
  terminationMessagePath string
  terminationMessagePolicy string
  tty bool
  volumeDevices []any key=devicePath
  volumeMounts []VolumeMount key=mountPath
  workingDir string
EnvVar
  name string !
  value string
  valueFrom EnvVarSource
EnvVarSource
  configMapKeyRef KeySelector
  fieldRef FieldRef
  resourceFieldRef any
  secretKeyRef KeySelector
EnvFromSource
  configMapRef LocalObjectReference
  prefix string
  secretRef LocalObjectReference
FieldRef
  apiVersion string
  fieldPath string !
KeySelector
  key string !
  name string
  optional bool
ContainerPort
  containerPort int !
  hostIP string
  hostPort int
  name string
  protocol string
VolumeMount
  mountPath string !
  mountPropagation string
  name string !
  readOnly bool
  recursiveReadOnly string
  subPath string
  subPathExpr string
Probe
  exec any
  failureThreshold int
  grpc any
  httpGet HttpGet
  initialDelaySeconds int
  periodSeconds int
  successThreshold int
  tcpSocket TcpSocket
  terminationGracePeriodSeconds int
  timeoutSeconds int
HttpGet
  host string
  httpHeaders []any atomic
  path string
  port int-or-string !
  scheme string
TcpSocket
  host string
  port int-or-string !
ResourceRequirements
  claims []any key=name
  limits {}quantity
  requests {}quantity
Volume
  configMap FilesSource
  csi any
  downwardAPI any
  emptyDir EmptyDir
  ephemeral any
  hostPath any
  name string !
  nfs any
  persistentVolumeClaim ClaimSource
  projected any
  secret FilesSource
FilesSource
  defaultMode int
  items []KeyToPath atomic
  name string
  optional bool
  secretName string
KeyToPath
  key string !
  mode int
  path string !
EmptyDir
  medium string
  sizeLimit quantity
ClaimSource
  claimName string !
  readOnly bool
PodStatus
  conditions []Condition key=type
  containerStatuses []ContainerStatus atomic
  ephemeralContainerStatuses []ContainerStatus atomic
  hostIP string
  hostIPs []any atomic
  initContainerStatuses []ContainerStatus atomic
  message string
  nominatedNodeName string
  observedGeneration int
  phase string | Pending, Running, Succeeded or Failed.
  podIP string
  podIPs []PodIp key=ip
  qosClass string
  reason string
  startTime time
PodIp
  ip string !
ContainerStatus
  containerID string
  image string
  imageID string
  lastState any
  name string !
  ready bool
  resources any
  restartCount int
  started bool
  state any
  volumeMounts []any atomic
)";

constexpr std::string_view service_types = R"(
Service v1 Service | One address for a set of pods.
  apiVersion string
  kind string
  metadata ObjectMeta
  spec ServiceSpec
  status ServiceStatus
ServiceSpec
  allocateLoadBalancerNodePorts bool
  clusterIP string
  clusterIPs []string atomic
  externalIPs []string atomic
  externalName string
  externalTrafficPolicy string
  healthCheckNodePort int
  internalTrafficPolicy string
  ipFamilies []string atomic
  ipFamilyPolicy string
  loadBalancerClass string
  loadBalancerIP string
  loadBalancerSourceRanges []string atomic
  ports []ServicePort key=port,protocol
  publishNotReadyAddresses bool
  selector {}string
  sessionAffinity string
  sessionAffinityConfig any
  trafficDistribution string
  type string
ServicePort
  appProtocol string
  name string
  nodePort int
  port int !
  protocol string
  targetPort int-or-string
ServiceStatus
  conditions []Condition key=type
  loadBalancer any
Endpoints v1 Endpoints | The addresses behind a service.
  apiVersion string
  kind string
  metadata ObjectMeta
  subsets []any atomic
EndpointSlice discovery.k8s.io/v1 EndpointSlice | The addresses behind a service.
  apiVersion string
  kind string
  metadata ObjectMeta
  addressType string !
  endpoints []any ! atomic
  ports []any atomic
PodDisruptionBudget policy/v1 PodDisruptionBudget | How many pods may be away on purpose.
  apiVersion string
  kind string
  metadata ObjectMeta
  spec PodDisruptionBudgetSpec
  status PodDisruptionBudgetStatus
PodDisruptionBudgetSpec
  maxUnavailable int-or-string
  minAvailable int-or-string
  selector LabelSelector
  unhealthyPodEvictionPolicy string
PodDisruptionBudgetStatus
  conditions []Condition key=type
  currentHealthy int
  desiredHealthy int
  disruptedPods any
  disruptionsAllowed int
  expectedPods int
  observedGeneration int
)";

constexpr std::string_view storage_types = R"(
PersistentVolumeClaim v1 PersistentVolumeClaim | A request for storage that outlives pods.
  apiVersion string
  kind string
  metadata ObjectMeta
  spec PersistentVolumeClaimSpec
  status PersistentVolumeClaimStatus
PersistentVolumeClaimSpec
  accessModes []string atomic
  dataSource any
  dataSourceRef any
  resources ResourceRequirements
  selector LabelSelector
  storageClassName string
  volumeAttributesClassName string
  volumeMode string
  volumeName string
PersistentVolumeClaimStatus
  accessModes []string atomic
  allocatedResourceStatuses {}string
  allocatedResources {}quantity
  capacity {}quantity
  conditions []Condition key=type
  currentVolumeAttributesClassName string
  modifyVolumeStatus any
  phase string
PersistentVolume v1 PersistentVolume | Storage that claims are bound to.
  apiVersion string
  kind string
  metadata ObjectMeta
  spec PersistentVolumeSpec
  status PersistentVolumeStatus
PersistentVolumeSpec
  accessModes []string atomic
  capacity {}quantity
  claimRef ObjectReference
  hostPath any
  local any
  nodeAffinity any
  persistentVolumeReclaimPolicy string
  storageClassName string
  volumeMode string
PersistentVolumeStatus
  lastPhaseTransitionTime time
  message string
  phase string
  reason string
StorageClass storage.k8s.io/v1 StorageClass | A way to provide volumes.
  apiVersion string
  kind string
  metadata ObjectMeta
  allowVolumeExpansion bool
  allowedTopologies []any atomic
  mountOptions []string atomic
  parameters {}string
  provisioner string !
  reclaimPolicy string
  volumeBindingMode string
)";

constexpr std::string_view plain_types = R"(
Namespace v1 Namespace | A scope for names.
  apiVersion string
  kind string
  metadata ObjectMeta
  spec NamespaceSpec
  status NamespaceStatus
NamespaceSpec
  finalizers []string atomic
NamespaceStatus
  conditions []Condition key=type
  phase string
Node v1 Node | A place where pods run.
  apiVersion string
  kind string
  metadata ObjectMeta
  spec NodeSpec
  status NodeStatus
NodeSpec
  podCIDR string
  podCIDRs []string set
  providerID string
  taints []any atomic
  unschedulable bool
NodeStatus
  addresses []any key=type
  allocatable {}quantity
  capacity {}quantity
  conditions []Condition key=type
  nodeInfo any
ConfigMap v1 ConfigMap | Files and values for pods.
  apiVersion string
  kind string
  metadata ObjectMeta
  binaryData {}string
  data {}string
  immutable bool
Secret v1 Secret | Files and values for pods that few may read.
  apiVersion string
  kind string
  metadata ObjectMeta
  data {}string
  immutable bool
  stringData {}string
  type string
ServiceAccount v1 ServiceAccount | An identity for pods.
  apiVersion string
  kind string
  metadata ObjectMeta
  automountServiceAccountToken bool
  imagePullSecrets []LocalObjectReference atomic
  secrets []ObjectReference key=name
Event v1 Event | Something that happened to an object.
  apiVersion string
  kind string
  metadata ObjectMeta
  action string
  count int
  eventTime time
  firstTimestamp time
  involvedObject ObjectReference
  lastTimestamp time
  message string
  reason string
  related ObjectReference
  reportingComponent string
  reportingInstance string
  series any
  source any
  type string
EventV1 events.k8s.io/v1 Event | Something that happened to an object.
  apiVersion string
  kind string
  metadata ObjectMeta
  action string
  deprecatedCount int
  deprecatedFirstTimestamp time
  deprecatedLastTimestamp time
  deprecatedSource any
  eventTime time
  note string
  reason string
  regarding ObjectReference
  related ObjectReference
  reportingController string
  reportingInstance string
  series any
  type string
Lease coordination.k8s.io/v1 Lease | Who leads, and until when.
  apiVersion string
  kind string
  metadata ObjectMeta
  spec LeaseSpec
LeaseSpec
  acquireTime time
  holderIdentity string
  leaseDurationSeconds int
  leaseTransitions int
  preferredHolder string
  renewTime time
  strategy string
CustomResourceDefinition apiextensions.k8s.io/v1 CustomResourceDefinition | A kind that was added.
  apiVersion string
  kind string
  metadata ObjectMeta
  spec any
  status any
SelfSubjectAccessReview authorization.k8s.io/v1 SelfSubjectAccessReview | May I?
  apiVersion string
  kind string
  metadata ObjectMeta
  spec any
  status any
)";

}  // namespace

std::string_view builtin_type_table() {
    static const std::string whole = std::string(meta_types) + std::string(pod_types) +
                                     std::string(service_types) + std::string(storage_types) +
                                     std::string(plain_types);
    return whole;
}

}  // namespace millrace::local
