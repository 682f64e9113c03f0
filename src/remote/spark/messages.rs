//! The messages of Spark Connect that this program sends and reads, as far as it does: field numbers are those of the
//! published `spark/connect/*.proto`. Fields that are not here are skipped by the decoder.

use std::collections::HashMap;

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub struct UserContext {
    #[prost(string, tag = "1")]
    pub user_id: String,
    #[prost(string, tag = "2")]
    pub user_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Plan {
    #[prost(message, optional, tag = "1")]
    pub root: Option<Relation>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExecutePlanRequest {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(message, optional, tag = "2")]
    pub user_context: Option<UserContext>,
    #[prost(message, optional, tag = "3")]
    pub plan: Option<Plan>,
    #[prost(string, optional, tag = "4")]
    pub client_type: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub request_options: Vec<RequestOption>,
    #[prost(string, optional, tag = "6")]
    pub operation_id: Option<String>,
    #[prost(string, repeated, tag = "7")]
    pub tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RequestOption {
    #[prost(message, optional, tag = "1")]
    pub reattach_options: Option<ReattachOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReattachOptions {
    #[prost(bool, tag = "1")]
    pub reattachable: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExecutePlanResponse {
    #[prost(string, tag = "13")]
    pub response_id: String,
    #[prost(oneof = "Response", tags = "2, 14, 18")]
    pub response: Option<Response>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Response {
    #[prost(message, tag = "2")]
    ArrowBatch(ArrowBatch),
    #[prost(message, tag = "14")]
    ResultComplete(Empty),
    #[prost(message, tag = "18")]
    Progress(ExecutionProgress),
}

#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub struct ArrowBatch {
    #[prost(int64, tag = "1")]
    pub row_count: i64,
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
    #[prost(int64, optional, tag = "3")]
    pub start_offset: Option<i64>,
    #[prost(int64, optional, tag = "4")]
    pub chunk_index: Option<i64>,
    #[prost(int64, optional, tag = "5")]
    pub chunks_in_batch: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExecutionProgress {
    #[prost(message, repeated, tag = "1")]
    pub stages: Vec<StageInfo>,
    #[prost(int64, tag = "2")]
    pub inflight_tasks: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct StageInfo {
    #[prost(int64, tag = "2")]
    pub tasks: i64,
    #[prost(int64, tag = "3")]
    pub completed_tasks: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConfigRequest {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(message, optional, tag = "2")]
    pub user_context: Option<UserContext>,
    #[prost(message, optional, tag = "3")]
    pub operation: Option<ConfigOperation>,
    #[prost(string, optional, tag = "4")]
    pub client_type: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConfigOperation {
    #[prost(message, optional, tag = "1")]
    pub set: Option<ConfigSet>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConfigSet {
    #[prost(message, repeated, tag = "1")]
    pub pairs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConfigResponse {
    #[prost(message, repeated, tag = "2")]
    pub pairs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct InterruptRequest {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(message, optional, tag = "2")]
    pub user_context: Option<UserContext>,
    #[prost(string, optional, tag = "3")]
    pub client_type: Option<String>,
    /// 2: by tag.
    #[prost(int32, tag = "4")]
    pub interrupt_type: i32,
    #[prost(string, optional, tag = "5")]
    pub operation_tag: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct InterruptResponse {
    #[prost(string, repeated, tag = "2")]
    pub interrupted_ids: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReleaseExecuteRequest {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(message, optional, tag = "2")]
    pub user_context: Option<UserContext>,
    #[prost(string, tag = "3")]
    pub operation_id: String,
    #[prost(message, optional, tag = "5")]
    pub release_all: Option<Empty>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReleaseExecuteResponse {}

#[derive(Clone, PartialEq, Message)]
pub struct Relation {
    #[prost(oneof = "RelType", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15")]
    pub rel_type: Option<RelType>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum RelType {
    #[prost(message, tag = "2")]
    Read(Read),
    #[prost(message, tag = "3")]
    Project(Box<Project>),
    #[prost(message, tag = "4")]
    Filter(Box<Filter>),
    #[prost(message, tag = "5")]
    Join(Box<Join>),
    #[prost(message, tag = "6")]
    SetOp(Box<SetOperation>),
    #[prost(message, tag = "7")]
    Sort(Box<Sort>),
    #[prost(message, tag = "8")]
    Limit(Box<Limit>),
    #[prost(message, tag = "9")]
    Aggregate(Box<Aggregate>),
    #[prost(message, tag = "10")]
    Sql(Sql),
    #[prost(message, tag = "11")]
    LocalRelation(LocalRelation),
    #[prost(message, tag = "13")]
    Offset(Box<Offset>),
    #[prost(message, tag = "14")]
    Deduplicate(Box<Deduplicate>),
    #[prost(message, tag = "15")]
    Range(Range),
}

#[derive(Clone, PartialEq, Message)]
pub struct Read {
    #[prost(message, optional, tag = "2")]
    pub data_source: Option<DataSource>,
}

#[derive(Clone, PartialEq, Message)]
pub struct DataSource {
    #[prost(string, optional, tag = "1")]
    pub format: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub schema: Option<String>,
    #[prost(map = "string, string", tag = "3")]
    pub options: HashMap<String, String>,
    #[prost(string, repeated, tag = "4")]
    pub paths: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Project {
    #[prost(message, optional, tag = "1")]
    pub input: Option<Relation>,
    #[prost(message, repeated, tag = "3")]
    pub expressions: Vec<Expression>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Filter {
    #[prost(message, optional, tag = "1")]
    pub input: Option<Relation>,
    #[prost(message, optional, tag = "2")]
    pub condition: Option<Expression>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Join {
    #[prost(message, optional, tag = "1")]
    pub left: Option<Relation>,
    #[prost(message, optional, tag = "2")]
    pub right: Option<Relation>,
    #[prost(message, optional, tag = "3")]
    pub condition: Option<Expression>,
    /// 1 inner, 2 full, 3 left, 5 anti, 6 semi.
    #[prost(int32, tag = "4")]
    pub join_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct SetOperation {
    #[prost(message, optional, tag = "1")]
    pub left: Option<Relation>,
    #[prost(message, optional, tag = "2")]
    pub right: Option<Relation>,
    /// 2: union.
    #[prost(int32, tag = "3")]
    pub set_op_type: i32,
    #[prost(bool, optional, tag = "4")]
    pub is_all: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Limit {
    #[prost(message, optional, tag = "1")]
    pub input: Option<Relation>,
    #[prost(int32, tag = "2")]
    pub limit: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Offset {
    #[prost(message, optional, tag = "1")]
    pub input: Option<Relation>,
    #[prost(int32, tag = "2")]
    pub offset: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Sort {
    #[prost(message, optional, tag = "1")]
    pub input: Option<Relation>,
    #[prost(message, repeated, tag = "2")]
    pub order: Vec<SortOrder>,
    #[prost(bool, optional, tag = "3")]
    pub is_global: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SortOrder {
    #[prost(message, optional, tag = "1")]
    pub child: Option<Expression>,
    /// 1 ascending, 2 descending.
    #[prost(int32, tag = "2")]
    pub direction: i32,
    /// 2: nulls last.
    #[prost(int32, tag = "3")]
    pub null_ordering: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Deduplicate {
    #[prost(message, optional, tag = "1")]
    pub input: Option<Relation>,
    #[prost(bool, optional, tag = "3")]
    pub all_columns_as_keys: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Aggregate {
    #[prost(message, optional, tag = "1")]
    pub input: Option<Relation>,
    /// 1: group by.
    #[prost(int32, tag = "2")]
    pub group_type: i32,
    #[prost(message, repeated, tag = "3")]
    pub grouping: Vec<Expression>,
    #[prost(message, repeated, tag = "4")]
    pub aggregates: Vec<Expression>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Sql {
    #[prost(string, tag = "1")]
    pub query: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct LocalRelation {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub data: Option<Vec<u8>>,
    #[prost(string, optional, tag = "2")]
    pub schema: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Range {
    #[prost(int64, optional, tag = "1")]
    pub start: Option<i64>,
    #[prost(int64, tag = "2")]
    pub end: i64,
    #[prost(int64, tag = "3")]
    pub step: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Expression {
    #[prost(oneof = "ExprType", tags = "1, 2, 3, 6, 7, 10, 11, 12, 14")]
    pub expr_type: Option<ExprType>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum ExprType {
    #[prost(message, tag = "1")]
    Literal(Literal),
    #[prost(message, tag = "2")]
    Attribute(Attribute),
    #[prost(message, tag = "3")]
    Function(Function),
    #[prost(message, tag = "6")]
    Alias(Box<Alias>),
    #[prost(message, tag = "7")]
    Cast(Box<Cast>),
    #[prost(message, tag = "10")]
    Lambda(Box<Lambda>),
    #[prost(message, tag = "11")]
    Window(Box<Window>),
    #[prost(message, tag = "12")]
    ExtractValue(Box<ExtractValue>),
    #[prost(message, tag = "14")]
    Variable(Variable),
}

#[derive(Clone, PartialEq, Message)]
pub struct Literal {
    #[prost(oneof = "LiteralType", tags = "1, 3, 6, 7, 11, 13")]
    pub literal_type: Option<LiteralType>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum LiteralType {
    #[prost(message, tag = "1")]
    Null(DataType),
    #[prost(bool, tag = "3")]
    Boolean(bool),
    #[prost(int32, tag = "6")]
    Integer(i32),
    #[prost(int64, tag = "7")]
    Long(i64),
    #[prost(double, tag = "11")]
    Double(f64),
    #[prost(string, tag = "13")]
    Text(String),
}

/// Only the type of null.
#[derive(Clone, PartialEq, Message)]
pub struct DataType {
    #[prost(message, optional, tag = "1")]
    pub null: Option<Empty>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Function {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub arguments: Vec<Expression>,
    #[prost(bool, tag = "3")]
    pub is_distinct: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Alias {
    #[prost(message, optional, tag = "1")]
    pub expr: Option<Expression>,
    #[prost(string, repeated, tag = "2")]
    pub name: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Cast {
    #[prost(message, optional, tag = "1")]
    pub expr: Option<Expression>,
    #[prost(string, optional, tag = "3")]
    pub type_text: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Lambda {
    #[prost(message, optional, tag = "1")]
    pub function: Option<Expression>,
    #[prost(message, repeated, tag = "2")]
    pub arguments: Vec<Variable>,
}

/// A function of a row among others: of its partition, in an order.
#[derive(Clone, PartialEq, Message)]
pub struct Window {
    #[prost(message, optional, tag = "1")]
    pub window_function: Option<Expression>,
    #[prost(message, repeated, tag = "2")]
    pub partition_spec: Vec<Expression>,
    #[prost(message, repeated, tag = "3")]
    pub order_spec: Vec<SortOrder>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExtractValue {
    #[prost(message, optional, tag = "1")]
    pub child: Option<Expression>,
    #[prost(message, optional, tag = "2")]
    pub extraction: Option<Expression>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Variable {
    #[prost(string, repeated, tag = "1")]
    pub name: Vec<String>,
}

/// What the details of a status of gRPC hold.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub reason: String,
    #[prost(map = "string, string", tag = "3")]
    pub metadata: HashMap<String, String>,
}
